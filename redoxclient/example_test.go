package redoxclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/redoxclient"
)

// A file is uploaded, and a message that names its URL is sent. Redox is a simulator
// here, which verifies the key and keeps what arrives.
func Example() {
	redox := simulated()
	defer redox.close()
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID: redox.clientID,
		KeyFile:  redox.keyFile,
		KeyID:    redox.keyID,
		TokenURL: redox.url + "/v2/auth/token", // without it: Redox's own
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := redoxclient.New(redoxclient.Config{
		Environment: "Development",
		Tokens:      tokens,
		APIURL:      redox.url, // without it: Redox's own
		BlobHosts:   []string{redox.blobHost},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	const report = "%PDF-1.7 and so on"
	file, err := client.Upload(ctx, redoxclient.UploadRequest{
		SourceID:    redox.source,
		ContentType: "application/pdf",
		Body: redoxclient.Body{
			Size: int64(len(report)),
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(report)), nil },
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("uploaded:", strings.HasPrefix(file.URL, "https://"+redox.blobHost))

	receipt, err := client.Send(ctx, redoxclient.SendRequest{
		SourceID:    redox.source,
		Destination: "good-health",
		Path:        "DocumentReference/$documentreference-create",
		Body:        redoxclient.Bytes(bundle(file.URL)),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("queued at Redox:", receipt.Status)
	// Output:
	// uploaded: true
	// queued at Redox: 200
}

// An error says what it means for the caller. Its text has no body, token or URL.
func ExampleError() {
	redox := answering(http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusUnprocessableEntity)
	defer redox.Close()
	client, err := redoxclient.New(redoxclient.Config{Environment: "Development", Tokens: oneToken{}, APIURL: redox.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for range 3 {
		_, err := client.Send(context.Background(), redoxclient.SendRequest{
			Destination: "good-health", Path: "Patient/$patient-create", Body: redoxclient.Bytes([]byte("{}")),
		})
		e, ok := errors.AsType[*redoxclient.Error](err)
		if !ok {
			log.Fatal(err)
		}
		switch e.Kind {
		case redoxclient.Retryable, redoxclient.RateLimited, redoxclient.Credentials, redoxclient.Interrupted:
			fmt.Println(e.Status, e.Kind, "- Redox has not taken it: send it again later")
		case redoxclient.UnknownOutcome:
			fmt.Println(e.Status, e.Kind, "- Redox may have it: sending it again may repeat it")
		case redoxclient.Permanent, redoxclient.TooLarge:
			fmt.Println(e.Status, e.Kind, "- it will be refused again")
		}
	}
	// Output:
	// 503 retryable - Redox has not taken it: send it again later
	// 504 unknown_outcome - Redox may have it: sending it again may repeat it
	// 422 permanent - it will be refused again
}

// A Throttle paces a client's requests, and hears what Redox says of the limit.
func ExampleThrottle() {
	redox := answering(http.StatusTooManyRequests)
	defer redox.Close()
	client, err := redoxclient.New(redoxclient.Config{
		Environment: "Development", Tokens: oneToken{}, APIURL: redox.URL, Throttle: printing{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = client.Send(context.Background(), redoxclient.SendRequest{
		Destination: "good-health", Path: "Patient/$patient-create", Body: redoxclient.Bytes([]byte("{}")),
	})
	if e, ok := errors.AsType[*redoxclient.Error](err); ok {
		fmt.Println(e.Kind, "wait", e.RetryAfter)
	}
	// Output:
	// limit 7500, refused: true
	// rate_limited wait 30s
}

// oneToken is a source of tokens that has one already.
type oneToken struct{}

func (oneToken) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "token"}, nil
}

func (oneToken) Invalidate(string) {}

// printing is a Throttle that lets every request pass at once.
type printing struct{}

func (printing) Take(ctx context.Context) error { return ctx.Err() }

func (printing) Sent(time.Duration) {}

func (printing) Heard(said redoxclient.LimitSaid) redoxclient.Ruling {
	fmt.Printf("limit %d, refused: %t\n", said.Limit, said.Refused)
	return redoxclient.Ruling{Wait: said.RetryAfter}
}

// answering is a Redox that answers with one status after the other.
func answering(statuses ...int) *httptest.Server {
	next := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			log.Print(err)
		}
		w.Header().Set("X-RateLimit-Limit", "7500")
		if statuses[next] == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "30")
		}
		w.WriteHeader(statuses[next])
		next++
	}))
}

// simulation is a simulator of Redox and the key that it knows.
type simulation struct {
	url, blobHost, clientID, keyID, keyFile, source string
	close                                           func()
}

func simulated() simulation {
	keys, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		log.Fatal(err)
	}
	sim, err := redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{keys.Client}})
	if err != nil {
		log.Fatal(err)
	}
	blob, err := url.Parse(redoxsim.DefaultBlobBase)
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "redox-")
	if err != nil {
		log.Fatal(err)
	}
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, keys.PEM, 0o600); err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(sim)
	return simulation{
		url: web.URL, blobHost: blob.Host, clientID: keys.ClientID, keyID: keys.KeyID, keyFile: file, source: keys.Client.Sources[0],
		close: func() { web.Close(); sim.Close(); os.RemoveAll(dir) },
	}
}
