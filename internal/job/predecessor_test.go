package job

import (
	"testing"
	"time"
)

// TestLook is what each state of the predecessor means.
func TestLook(t *testing.T) {
	since := noon.Add(-time.Hour)
	for _, c := range []struct {
		name   string
		was    Predecessor
		found  Record
		known  bool
		want   turn
		unseen int
	}{
		{name: "accepted", found: Record{Phase: Accepted}, known: true, want: goOn},
		{name: "in hand", found: Record{Phase: Working}, known: true, want: putOff},
		{name: "being sent", found: Record{Phase: Sending}, known: true, want: putOff},
		{name: "waits", found: Record{Phase: Waiting}, known: true, want: putOff},
		{name: "failed", found: Record{Phase: Failed}, known: true, want: giveUp},
		{name: "unknown", found: Record{Phase: Held}, known: true, want: giveUp},
		{name: "cancelled", found: Record{Phase: Cancelled}, known: true, want: giveUp},
		{name: "failed and replayed", found: Record{Phase: Failed, Resent: noon}, known: true, want: putOff},
		{name: "unknown and replayed", found: Record{Phase: Held, Resent: noon}, known: true, want: putOff},
		{name: "not seen yet", want: putOff, unseen: 1},
		{name: "not seen for an hour, seldom looked for", was: Predecessor{Unseen: 2, UnseenSince: since}, want: putOff, unseen: 3},
		{name: "not seen often, for a moment", was: Predecessor{Unseen: 30, UnseenSince: noon.Add(-time.Minute)}, want: putOff, unseen: 31},
		{name: "not seen for an hour", was: Predecessor{Unseen: 3, UnseenSince: since}, want: giveUp, unseen: 4},
		{name: "seen again", was: Predecessor{Unseen: 30, UnseenSince: since}, found: Record{Phase: Working}, known: true, want: putOff},
	} {
		p := c.was
		found := &c.found
		if !c.known {
			found = nil
		}
		got := p.look(found, noon, time.Hour)
		if got != c.want || p.Unseen != c.unseen || p.Accepted != (c.want == goOn) {
			t.Errorf("%s: turn %d and %+v, want %d", c.name, got, p, c.want)
		}
		if c.unseen == 1 && !p.UnseenSince.Equal(noon) || c.unseen == 0 && !p.UnseenSince.IsZero() {
			t.Errorf("%s: unseen since %s", c.name, p.UnseenSince)
		}
	}
}

// TestComesBack: the waits grow to ten minutes, and there is no look before the
// predecessor's own next attempt.
func TestComesBack(t *testing.T) {
	waiting := func(in time.Duration) Record {
		return Record{Phase: Waiting, NextAttemptAt: noon.Add(in)}
	}
	for _, c := range []struct {
		name  string
		waits int
		found Record
		want  time.Duration
	}{
		{"the first wait", 1, Record{}, 15 * time.Second},
		{"the third", 3, Record{Phase: Working}, time.Minute},
		{"the longest", 99, Record{Phase: Working}, 5 * time.Minute},
		{"the predecessor's next attempt", 1, waiting(time.Hour), time.Hour + 15*time.Second},
		{"one that is due at once", 1, waiting(0), 15 * time.Second},
		{"one that was due long ago", 3, waiting(-time.Hour), time.Minute},
		{"jobs that wait for each other", 99, waiting(20 * time.Second), 5 * time.Minute},
	} {
		if got := policy.comesBack(c.waits, &c.found, noon, 0); !got.Equal(noon.Add(c.want)) {
			t.Errorf("%s: in %s, want %s", c.name, got.Sub(noon), c.want)
		}
	}
	quick := Policy{First: time.Second, Longest: 2 * time.Second}
	if got := quick.comesBack(9, nil, noon, 1); !got.Equal(noon.Add(2 * time.Second)) {
		t.Errorf("longer than --retry-longest: %s", got.Sub(noon))
	}
}
