package main

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"golang.org/x/oauth2"

	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/schemas"
)

type settings struct {
	endpoint, bucket, key      string
	redox, authority, blobHost string
	hashes                     string
	slots                      int
}

// pipe delivers one file again and again.
type pipe struct {
	source *s3source.Source
	redox  *redoxclient.Client
	file   schemas.File
	hashes func() []hash.Hash
}

// token is one that never ends.
type token struct{}

func (token) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "bench", TokenType: "Bearer"}, nil
}
func (token) Invalidate(string) {}

func open(ctx context.Context, s settings) (*pipe, error) {
	p := &pipe{file: schemas.File{Bucket: s.bucket, Key: s.key}}
	var err error
	if p.hashes, err = hashesOf(s.hashes); err != nil {
		return nil, err
	}
	trust, err := trustOf(s.authority)
	if err != nil {
		return nil, err
	}
	if p.source, err = s3source.New(ctx, s3source.Config{Endpoint: s.endpoint, PathStyle: true, Concurrency: s.slots}); err != nil {
		return nil, err
	}
	p.redox, err = redoxclient.New(redoxclient.Config{
		APIURL: s.redox, Environment: "Development", BlobHosts: []string{s.blobHost}, Tokens: token{}, Concurrency: s.slots, TLS: trust,
	})
	return p, err
}

func hashesOf(name string) (func() []hash.Hash, error) {
	switch name {
	case "none":
		return func() []hash.Hash { return nil }, nil
	case "sha256":
		return func() []hash.Hash { return []hash.Hash{sha256.New()} }, nil
	case "both":
		return func() []hash.Hash { return []hash.Hash{sha256.New(), sha1.New()} }, nil
	}
	return nil, errors.New("-hash is none, sha256 or both")
}

func trustOf(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("-ca holds no certificate")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// message has the form of the worker's message of the same job, which is some
// hundred bytes longer.
const message = `{"resourceType":"Bundle","type":"message","entry":[{"resource":{"resourceType":"MessageHeader","eventUri":"https://fhir.redoxengine.com/EventDefinition/DocumentReferenceCreate","source":{"endpoint":"urn:redox:bench"},"focus":[{"reference":"DocumentReference/1"}]}},` +
	`{"resource":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"}},` +
	`{"resource":{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"contentType":"application/pdf","url":"%s"}}]}}]}`

// deliver is GET, POST and POST.
func (p *pipe) deliver(ctx context.Context) error {
	object, err := p.source.Open(ctx, p.file, nil)
	if err != nil {
		return err
	}
	up, err := p.redox.Upload(ctx, redoxclient.UploadRequest{ContentType: "application/pdf", Body: redoxclient.Body{
		Size: object.Pin.Size, Open: func(context.Context) (io.ReadCloser, error) { return hashed(object.Body, p.hashes()), nil },
	}})
	if err != nil {
		return err
	}
	_, err = p.redox.Send(ctx, redoxclient.SendRequest{
		Destination: "bench", Path: "DocumentReference/$documentreference-create",
		Body: redoxclient.Bytes(fmt.Appendf(nil, message, up.URL)),
	})
	return err
}

// hashed reads a file past hashes.
func hashed(body io.ReadCloser, hashes []hash.Hash) io.ReadCloser {
	if len(hashes) == 0 {
		return body
	}
	return &hashing{body, hashes}
}

type hashing struct {
	io.ReadCloser
	hashes []hash.Hash
}

func (h *hashing) Read(b []byte) (int, error) {
	n, err := h.ReadCloser.Read(b)
	for _, one := range h.hashes {
		one.Write(b[:n])
	}
	return n, err
}
