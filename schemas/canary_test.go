package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "Zebedee\u00e9 471100815"

// outputs is every way an error of this package can be shown.
func outputs(err error) string {
	var b strings.Builder
	untimed := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	log := slog.New(slog.NewTextHandler(&b, untimed))
	logJSON := slog.New(slog.NewJSONHandler(&b, untimed))
	type holder struct{ P Problem }
	e, _ := errors.AsType[*Invalid](err)
	for _, v := range []any{err, e, *e, e.Problems, holder{e.Problems[0]}, &holder{e.Problems[0]}} {
		fmt.Fprintf(&b, "%v %+v %#v %s %q\n", v, v, v, v, v)
		log.Info("x", "v", v)
		logJSON.Info("x", "v", v)
		j, _ := json.Marshal(v)
		b.Write(j)
	}
	fmt.Fprintf(&b, "%v", fmt.Errorf("wrapped: %w", err))
	return b.String()
}

// leaks reports whether text shows the canary or a recognizable part of it.
func leaks(text string) bool {
	return strings.Contains(text, "Zebedee") || strings.Contains(text, "471100815")
}

// TestNoErrorQuotesItsInput puts the canary in the place of every value and
// every key of a job and an event, one at a time.
func TestNoErrorQuotesItsInput(t *testing.T) {
	tried := 0
	for _, c := range []struct {
		pattern string
		decode  func([]byte) error
	}{
		{"job/*-new.json", func(d []byte) error { _, err := DecodeJob(d); return err }},
		{"job/documentreference-*.json", func(d []byte) error { _, err := DecodeJob(d); return err }},
		{"event/accepted.json", func(d []byte) error { _, err := DecodeEvent(d); return err }},
		{"audit/*.json", func(d []byte) error { _, err := DecodeAudit(d); return err }},
		{"event/retrying.json", func(d []byte) error { _, err := DecodeEvent(d); return err }},
	} {
		for _, name := range fixtures(t, c.pattern) {
			var doc any
			if err := json.Unmarshal(read(t, name), &doc); err != nil {
				t.Fatal(err)
			}
			mutate(doc, func(what string) {
				data, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.decode(data); err != nil {
					tried++
					if leaks(outputs(err)) {
						t.Errorf("%s, %s: %v", name, what, err)
					}
				}
			})
		}
	}
	if tried < 300 {
		t.Errorf("only %d errors were looked at", tried)
	}
}

// mutate calls try with the canary at each place of v in turn, as the value,
// as a key beside the others, and as a number.
func mutate(v any, try func(what string)) {
	bad := []any{canary, json.Number("471100815.471100815"), map[string]any{canary: canary, "471100815": canary}, []any{canary}, strings.Repeat(canary, 100)}
	switch v := v.(type) {
	case map[string]any:
		v[canary], v["471100815"] = canary, canary
		try("key")
		delete(v, canary)
		delete(v, "471100815")
		for name, old := range v {
			for _, b := range bad {
				v[name] = b
				try(name)
			}
			delete(v, name)
			v[name+canary] = old
			try("key for " + name)
			delete(v, name+canary)
			v[name] = old
			mutate(old, try)
		}
	case []any:
		for i, old := range v {
			for _, b := range bad {
				v[i] = b
				try("item")
			}
			v[i] = old
			mutate(old, try)
		}
	}
}

// TestNoSyntaxErrorQuotesItsInput breaks the JSON itself around the canary.
func TestNoSyntaxErrorQuotesItsInput(t *testing.T) {
	for _, in := range []string{
		`{"Zebedee": Zebedee}`, `{"Zebedee":1,"Zebedee":2}`, `{"message":{"471100815":{"471100815":[1,{"Zebedee":1,"Zebedee":471100815}]}}}`,
		`Zebedee`, `{"id":"Zebedee "`, `{"id":"Zebedee 1"} Zebedee`, `{"471100815":` + strings.Repeat(`{"471100815":`, 100), `{"correlation":{"471100815":1,"471100815":2}}`,
		"{\"Zebedee\xff\":1}", `{"Zebedee":"\ud800 471100815"}`, `{"Zebedee":"\q"}`, `{"a":471100815Zebedee}`, `["471100815"]`, `"Zebedee"`, `471100815`,
	} {
		if _, err := DecodeJob([]byte(in)); err == nil || leaks(outputs(err)) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestKeyIsForTheAuthor: the key itself can be had, by name only.
func TestKeyIsForTheAuthor(t *testing.T) {
	_, err := DecodeJob([]byte(`{"message":{"Zebedee":1,"Zebedee":2}}`))
	e, ok := errors.AsType[*Invalid](err)
	if !ok {
		t.Fatal(err)
	}
	for _, p := range e.Problems {
		if p.Code == "duplicate_key" && p.Key() == "Zebedee" && p.Path == "/message/*" {
			return
		}
	}
	t.Errorf("%v", err)
}
