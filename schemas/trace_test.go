package schemas

import (
	"context"
	"strings"
	"testing"
)

const sampleTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestParseTrace(t *testing.T) {
	if got := ParseTrace(sampleTrace); got != sampleTrace || got.ID() != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("%q with the id %q", got, got.ID())
	}
	for name, s := range map[string]string{
		"empty":           "",
		"another version": "01" + sampleTrace[2:],
		"upper case":      strings.ToUpper(sampleTrace),
		"too long":        sampleTrace + "-00",
		"too short":       sampleTrace[:54],
		"no trace":        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"no span":         "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"a name":          "00-Example-Patient-1970-01-01-abcd-00f067aa0ba902b7-00-01"[:55],
		"flags":           sampleTrace[:53] + "0g",
		"divider":         sampleTrace[:35] + "_" + sampleTrace[36:],
		"second divider":  sampleTrace[:52] + "_" + sampleTrace[53:],
	} {
		if got := ParseTrace(s); got != "" || got.ID() != "" {
			t.Errorf("%s: %q was taken", name, s)
		}
	}
}

func TestTraceHasItsParts(t *testing.T) {
	for _, sampled := range []bool{true, false} {
		made := NewTrace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled)
		if made.ID() != "4bf92f3577b34da6a3ce929d0e0e4736" || made.SpanID() != "00f067aa0ba902b7" || made.Sampled() != sampled {
			t.Errorf("%q: %q %q %t", made, made.ID(), made.SpanID(), made.Sampled())
		}
	}
	if got := NewTrace("x", "y", true); got != "" {
		t.Errorf("%q", got)
	}
	if none := Trace(""); none.SpanID() != "" || none.Sampled() {
		t.Error("none has parts")
	}
}

func TestTraceOfAContext(t *testing.T) {
	if got := TraceOf(WithTrace(t.Context(), sampleTrace)); got != sampleTrace {
		t.Errorf("%q", got)
	}
	if got := TraceOf(t.Context()); got != "" {
		t.Errorf("%q", got)
	}
	ctx := context.Background()
	if WithTrace(ctx, "") != ctx {
		t.Error("no trace changes the context")
	}
}

// FuzzParseTrace: whatever is taken has the form and nothing else.
func FuzzParseTrace(f *testing.F) {
	f.Add(sampleTrace)
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		got := ParseTrace(s)
		if got == "" {
			return
		}
		if string(got) != s || strings.Trim(s, "0123456789abcdef-") != "" || strings.Count(s, "-") != 3 || len(got.ID()) != 32 {
			t.Errorf("%q was taken for %q", s, got)
		}
	})
}
