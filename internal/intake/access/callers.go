package access

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/schemas"
)

// Caller is a program that an operator lets in.
type Caller struct {
	// Name is for logs and quotas: 1 to 64 of [A-Za-z0-9._-].
	Name string `yaml:"name"`
	// Certificate is a DNS name or a URI in the certificate's subject alternative names.
	// The common name is not looked at.
	Certificate string `yaml:"certificate"`
	// Token are claims that the token must have, all of them.
	Token map[string]string `yaml:"token"`
	// Destinations, Classes and Files are those of the Grant. Classes are live alone where
	// they are left out.
	Destinations []string `yaml:"destinations"`
	Classes      []string `yaml:"classes"`
	Files        []string `yaml:"files"`
}

// Callers is the list of an operator.
type Callers []Caller

// ReadCallers reads a list in YAML:
//
//	callers:
//	  - name: lab
//	    certificate: lab.example.org
//	    destinations: [good-health]
//
// It reports every fault at once.
func ReadCallers(data []byte) (Callers, error) {
	var list struct {
		Callers Callers `yaml:"callers"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("it is no list of callers: %w", err)
	}
	if len(list.Callers) == 0 {
		return nil, errors.New("it names no caller: write a list under callers")
	}
	var faults []error
	names := map[string]bool{}
	for i, c := range list.Callers {
		if err := c.check(); err != nil {
			faults = append(faults, fmt.Errorf("callers, entry %d: %w", i+1, err))
		}
		if names[c.Name] {
			faults = append(faults, fmt.Errorf("callers, entry %d: two callers have the name %s", i+1, c.Name))
		}
		names[c.Name] = true
	}
	return list.Callers, errors.Join(faults...)
}

func (c Caller) check() error {
	var faults []error
	if !ValidName(c.Name) {
		faults = append(faults, errors.New("name must be 1 to 64 letters, digits, '.', '_' or '-'"))
	}
	if (c.Certificate == "") == (len(c.Token) == 0) {
		faults = append(faults, errors.New("give either certificate or token"))
	}
	for name, value := range c.Token {
		if name == "" || value == "" {
			faults = append(faults, errors.New("token: a claim has no value: a token without that claim would have it too"))
			break
		}
	}
	if len(c.Destinations) == 0 {
		faults = append(faults, errors.New("destinations is empty: name some, or \"*\" for all"))
	}
	for _, d := range c.Destinations {
		if d != intake.All && !schemas.ValidAddress(d) {
			faults = append(faults, errors.New("destinations: an entry is no slug and no id"))
		}
	}
	for _, class := range c.Classes {
		if class != string(schemas.Live) && class != string(schemas.Backfill) {
			faults = append(faults, errors.New("classes: must be live or backfill"))
		}
	}
	return errors.Join(faults...)
}

func (c Caller) grant() intake.Grant {
	g := intake.Grant{Caller: c.Name, Destinations: c.Destinations, Files: c.Files}
	for _, class := range c.Classes {
		g.Classes = append(g.Classes, schemas.Class(class))
	}
	if len(g.Classes) == 0 {
		g.Classes = []schemas.Class{schemas.Live}
	}
	return g
}

// ValidName reports whether a name can stand for a caller: 1 to 64 of [A-Za-z0-9._-].
func ValidName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

func (all Callers) ofCertificate(cert *x509.Certificate) (Caller, bool) {
	for _, c := range all {
		if c.Certificate == "" {
			continue
		}
		if slices.Contains(cert.DNSNames, c.Certificate) {
			return c, true
		}
		for _, uri := range cert.URIs {
			if uri.String() == c.Certificate {
				return c, true
			}
		}
	}
	return Caller{}, false
}

func (all Callers) ofToken(claims claims) (Caller, bool) {
	for _, c := range all {
		if len(c.Token) > 0 && claims.have(c.Token) {
			return c, true
		}
	}
	return Caller{}, false
}
