package redoxclient

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-jose/go-jose/v4"
)

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 256 << 10

// signingKey is a private key that Redox accepts, with the algorithm it implies.
type signingKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key any
}

// parseKey reads a PEM file (PKCS#1, PKCS#8, SEC1), a JWK or a JWK set, in any
// form that plainKeyText knows. kid chooses from a set and must agree with a
// JWK's own; it may be empty where the JWK, or the only private key of a set,
// has one. Errors never quote the file.
func parseKey(data []byte, kid string) (*signingKey, error) {
	var key any
	var err error
	data = plainKeyText(data)
	if bytes.HasPrefix(data, []byte("{")) {
		key, kid, err = parseJWK(data, kid)
	} else {
		key, err = parsePEM(data)
	}
	if err != nil {
		return nil, err
	}
	if kid == "" {
		return nil, errors.New("no key id: Redox requires a kid, and the file names none")
	}
	if !plainURLText(kid) {
		return nil, errors.New("the key id holds characters other than printable ASCII")
	}
	alg, err := algorithm(key)
	if err != nil {
		return nil, err
	}
	return &signingKey{id: kid, alg: alg, key: key}, nil
}

// algorithm is RS384 or ES384, the two that Redox documents.
func algorithm(key any) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < 2048 {
			return "", fmt.Errorf("an RSA key of %d bits: at least 2048 are needed", bits)
		}
		if k.Validate() != nil {
			return "", errors.New("the RSA key is not consistent")
		}
		return jose.RS384, nil
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P384() {
			return "", errors.New("an EC key on another curve than P-384")
		}
		return jose.ES384, nil
	}
	return "", errors.New("the key is neither an RSA nor an EC private key")
}

func parseJWK(data []byte, kid string) (any, string, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(data, &set); err != nil || len(set.Keys) == 0 {
		var one jose.JSONWebKey
		if json.Unmarshal(data, &one) != nil {
			return nil, "", errors.New("the JWK cannot be read")
		}
		set.Keys = []jose.JSONWebKey{one}
		if one.KeyID == "" {
			set.Keys[0].KeyID = kid
		}
	}
	var found []jose.JSONWebKey
	public := false
	for _, k := range set.Keys {
		switch {
		case kid != "" && k.KeyID != kid:
		case k.IsPublic():
			public = true
		default:
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0 && public:
		return nil, "", errPublicKey
	case len(found) == 0 && kid != "":
		return nil, "", fmt.Errorf("no private key with the id %q", kid)
	case len(found) == 0:
		return nil, "", errors.New("no private key")
	case len(found) > 1:
		return nil, "", errors.New("several private keys fit: name one by its key id")
	}
	return found[0].Key, found[0].KeyID, nil
}

// keyFile is a key that is read again when its file changes. It is not safe for
// concurrent use; the token source asks for one assertion at a time.
type keyFile struct {
	path, kid string
	current   *signingKey
	used      os.FileInfo // the file of current
	looked    os.FileInfo // the file that was looked at last, of use or not
	fault     error       // why there was no use in the last look, if there was none
}

// refresh reads the file if it is not the one in use. On an error the old key
// stays, and the file is read again the next time, since what is mended need not
// change its age. again is whether the error is that of the last time, of the
// same file.
func (f *keyFile) refresh() (again bool, err error) {
	before, was := f.looked, f.fault
	if f.fault = f.look(); f.fault == nil {
		return false, nil
	}
	err = fmt.Errorf("key file %q: %w", f.path, f.fault)
	return was != nil && was.Error() == f.fault.Error() && sameFile(before, f.looked), err
}

func (f *keyFile) look() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return withoutPath(err)
	}
	f.looked = info
	if f.current != nil && sameFile(f.used, info) {
		return nil
	}
	data, err := readFile(f.path)
	if err != nil {
		return withoutPath(err)
	}
	key, err := parseKey(data, f.kid)
	if err != nil {
		return err
	}
	f.used, f.current = info, key
	return nil
}

// changedSince reports whether the file is another than at was.
func (f *keyFile) changedSince(at os.FileInfo) bool {
	info, err := os.Stat(f.path)
	return err == nil && (at == nil || !sameFile(at, info))
}

// sameFile also sees a replaced file of the same age and size, as a mounted
// secret makes it.
func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		return nil, errors.New("larger than 256 KiB")
	}
	return data, err
}

// withoutPath keeps what happened: refresh names the file.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}
