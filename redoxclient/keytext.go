package redoxclient

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode/utf16"
)

var (
	errNoKey     = errors.New("no private key: neither PEM nor JWK")
	errPublicKey = errors.New("a public key: the private key that belongs to it is needed")
	errEncrypted = errors.New("the private key is encrypted, which is not supported")
)

// plainKeyText undoes what editors and secret stores do to a key: a byte-order
// mark (UTF-8 or UTF-16), white space around it, quotes around it, and line ends
// written as the two characters \n, since many stores keep one line only.
func plainKeyText(data []byte) []byte {
	data = bytes.TrimSpace(withoutMark(data))
	if len(data) > 1 && (data[0] == '"' || data[0] == '\'') && data[len(data)-1] == data[0] {
		data = bytes.TrimSpace(data[1 : len(data)-1])
	}
	if !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
		return data // a JWK, whose strings have a \n of their own
	}
	data = bytes.ReplaceAll(data, []byte(`\r`), nil)
	return bytes.ReplaceAll(data, []byte(`\n`), []byte("\n"))
}

// withoutMark is data in UTF-8 and without its byte-order mark.
func withoutMark(data []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return data
	}
	var units []uint16
	for data = data[2:]; len(data) > 1; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	return []byte(string(utf16.Decode(units)))
}

// parsePEM gives the first private key.
func parsePEM(data []byte) (any, error) {
	found := errNoKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, found
		}
		data = rest
		key, err := parseBlock(block)
		switch {
		case err != nil:
			return nil, err
		case key != nil:
			return key, nil
		}
		switch block.Type {
		case "PUBLIC KEY", "RSA PUBLIC KEY":
			found = errPublicKey
		case "CERTIFICATE":
			found = errors.New("a certificate: the private key that belongs to it is needed")
		}
	}
}

// parseBlock gives nil for a block that is no private key: parameters,
// certificates, public keys.
func parseBlock(block *pem.Block) (key any, err error) {
	if block.Headers["DEK-Info"] != "" { // RFC 1421, 4.6.1.3
		return nil, errEncrypted
	}
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	case "OPENSSH PRIVATE KEY":
		return nil, errors.New("a private key of OpenSSH's own form, which is not supported: make it PKCS#8")
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the PEM block %q cannot be read", block.Type)
	}
	return key, nil
}
