package natsq

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestOneLeaseForTheFleet: the first worker's settings are the fleet's, and a worker of
// others is refused with what to do.
func TestOneLeaseForTheFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := Fleet{Lease: 30 * time.Second, Environment: "Staging"}
	must(t, w.SetLease(t.Context(), time.Minute)) // nobody has started: nothing to change
	for range 2 {
		must(t, w.Join(t.Context(), first))
	}
	for want, other := range map[string]Fleet{
		"--lease is 1.5s here and 30s there":      {1500 * time.Millisecond, "Staging"},
		"the prefix chartpost belongs to Staging": {30 * time.Second, "Production"},
	} {
		if err := w.Join(t.Context(), other); !errors.Is(err, errFleet) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", other, err, want)
		}
	}
	must(t, w.SetLease(t.Context(), time.Minute))
	if err := w.Join(t.Context(), first); !errors.Is(err, errFleet) {
		t.Errorf("after the change: %v", err)
	}
	must(t, w.Join(t.Context(), Fleet{time.Minute, "Staging"}))
	_, err := w.js.Publish(t.Context(), "$KV.CHARTPOST_CONTROL.fleet", []byte(`{"version":2,"lease":"1m0s","environment":"Staging"}`))
	must(t, err)
	if err := w.Join(t.Context(), Fleet{time.Minute, "Staging"}); !errors.Is(err, errFleet) || !strings.Contains(err.Error(), "later version") {
		t.Errorf("beside workers of a later version: %v", err)
	}
}
