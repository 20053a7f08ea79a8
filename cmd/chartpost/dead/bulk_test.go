package dead

import (
	"testing"
	"time"
)

func TestPerSecond(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"50/s": 20 * time.Millisecond, "50": 20 * time.Millisecond, "600/m": 100 * time.Millisecond, "3600/h": time.Second,
		"0/s": 0, "-1/s": 0, "x": 0, "": 0, "5/d": 0, "5/": time.Second / 5, "1000001/s": 0,
	} {
		got, err := perSecond(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
