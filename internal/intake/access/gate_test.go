package access

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

const list = `
callers:
  - name: lab
    certificate: lab.example.org
    destinations: [good-health]
    files: [reports/lab/]
  - name: radiology
    certificate: spiffe://example.org/radiology
    destinations: ["*"]
    classes: [live, backfill]
  - name: portal
    token: {azp: portal-client, groups: writers}
    destinations: [good-health, other]
`

func TestCallersOfAList(t *testing.T) {
	t.Parallel()
	callers, err := ReadCallers([]byte(list))
	must(t, err)
	p := newProvider(t)
	one := newEC(t, "one")
	p.publish(one)
	gate := New(Settings{Callers: callers, Tokens: p.tokens(time.Now)})
	spiffe, err := url.Parse("spiffe://example.org/radiology")
	must(t, err)
	live := schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	for name, c := range map[string]struct {
		shown  Credentials
		caller string
		code   string
	}{
		"by name":                              {Credentials{Certificate: &x509.Certificate{DNSNames: []string{"x", "lab.example.org"}}}, "lab", ""},
		"by URI":                               {Credentials{Certificate: &x509.Certificate{URIs: []*url.URL{spiffe}}}, "radiology", ""},
		"by claims":                            {Credentials{Token: one.sign(t, p.good("azp", "portal-client", "groups", []string{"readers", "writers"}))}, "portal", ""},
		"a claim is absent":                    {Credentials{Token: one.sign(t, p.good("azp", "portal-client", "chartpost_destinations", nil))}, "", "caller_forbidden"},
		"another name":                         {Credentials{Certificate: &x509.Certificate{DNSNames: []string{"lab.example.org.evil"}}}, "", "unauthenticated"},
		"a token beside a certificate decides": {Credentials{Certificate: &x509.Certificate{DNSNames: []string{"lab.example.org"}}, Token: "none"}, "", "unauthenticated"},
		"nothing":                              {Credentials{}, "", "unauthenticated"},
	} {
		g, err := gate.Enter(t.Context(), c.shown)
		if codeOf(err) != c.code || c.code == "" && (g.Caller != c.caller || !g.Allows(live) || g.Allows(schemas.Lane{Class: schemas.Backfill, Destination: "good-health"}) != (c.caller == "radiology")) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	if _, err := New(Settings{Callers: callers}).Enter(t.Context(), Credentials{Token: one.sign(t, p.good())}); codeOf(err) != "unauthenticated" {
		t.Errorf("tokens are not taken: %v", err)
	}
	if _, err := New(Settings{Open: true}).Enter(t.Context(), Credentials{}); err != nil {
		t.Errorf("on loopback: %v", err)
	}
}

func TestAListWithFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":           "names no caller",
		"callers: 3": "no list of callers",
		"callers:\n  - name: a\n    destination: [x]":                                                                  "no list of callers",
		"callers:\n  - name: a b\n    certificate: x\n    destinations: [x]":                                           "entry 1: name must be",
		"callers:\n  - name: a\n    destinations: [x]":                                                                 "either certificate or token",
		"callers:\n  - name: a\n    certificate: x\n    token: {a: b}\n    destinations: [x]":                          "either certificate or token",
		"callers:\n  - name: a\n    token: {azp: \"\"}\n    destinations: [x]":                                         "token: a claim has no value",
		"callers:\n  - name: a\n    token: {azp: }\n    destinations: [x]":                                             "token: a claim has no value",
		"callers:\n  - name: a\n    certificate: x":                                                                    "destinations is empty",
		"callers:\n  - name: a\n    certificate: x\n    destinations: [\"a b\"]":                                       "no slug and no id",
		"callers:\n  - name: a\n    certificate: x\n    destinations: [b]\n    classes: [fast]":                        "must be live or backfill",
		"callers:\n  - {name: a, certificate: x, destinations: [b]}\n  - {name: a, certificate: y, destinations: [b]}": "entry 2: two callers",
	} {
		if _, err := ReadCallers([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	now := time.Now()
	q := NewQuotas(Limits{Jobs: 2, Bytes: 1000, Requests: 2, Streams: 1, Held: 100}, 150, func() time.Time { return now })
	for i := range 4 {
		must(t, q.Job("a"))
		if i == 3 {
			err := q.Job("a")
			if codeOf(err) != "rate" {
				t.Error(err)
			}
		}
	}
	must(t, q.Job("b")) // another's quota is its own
	now = now.Add(time.Second)
	must(t, q.Job("a"))
	first, err := q.Request("a")
	must(t, err)
	_, err = q.Request("a")
	must(t, err)
	if _, err := q.Request("a"); codeOf(err) != "too_many_requests" {
		t.Error(err)
	}
	first()
	if _, err := q.Request("a"); err != nil {
		t.Error(err)
	}
	if _, err := q.Stream("a"); err != nil {
		t.Error(err)
	}
	if _, err := q.Stream("a"); codeOf(err) != "too_many_streams" {
		t.Error(err)
	}
	must(t, q.Hold("a", 100))
	if err := q.Hold("a", 1); codeOf(err) != "too_many_bytes" {
		t.Error(err)
	}
	must(t, q.Hold("b", 50))
	if err := q.Hold("c", 1); codeOf(err) != "busy" {
		t.Error(err)
	}
	q.Release("a", 100)
	must(t, q.Hold("c", 1))
	if wait := q.Bytes("a", 4000); wait != 0 {
		t.Errorf("within the burst: %s", wait)
	}
	if wait := q.Bytes("a", 2000); wait < 1900*time.Millisecond || wait > 2100*time.Millisecond {
		t.Errorf("%s for 2 s of bytes too many", wait)
	}
	if wait := q.Bytes("b", 10_000); wait < 5*time.Second {
		t.Errorf("more than a burst: %s", wait)
	}
}

// TestManyCallers: they are forgotten, those with something in hand aside.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	q := NewQuotas(Limits{Jobs: 1}, 100, func() time.Time { return now })
	must(t, q.Hold("busy", 1))
	for i := range mostCallers + 10 {
		must(t, q.Job("caller-"+strings.Repeat("x", i%7)+time.Duration(i).String()))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.callers) > mostCallers || q.callers["busy"] == nil {
		t.Errorf("%d callers", len(q.callers))
	}
}
