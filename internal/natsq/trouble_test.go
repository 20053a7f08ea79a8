package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// at is a time in seconds of a test.
func at(seconds int) time.Time { return time.Unix(1_800_000_000+int64(seconds), 0) }

func wantTroubles(t *testing.T, b *troubles, now int, want ...Trouble) {
	t.Helper()
	if got := b.list(at(now)); !slices.Equal(got, want) {
		t.Errorf("at %d s: %v, want %v", now, got, want)
	}
}

// TestTriesThatFail walks through an outage second by second.
func TestTriesThatFail(t *testing.T) {
	b := newTroubles()
	a, z, other := try{"events", "a"}, try{"events", "z"}, try{"ledger", "a"}
	fail := func(one try, began, now int, wantSay bool, want saying) {
		t.Helper()
		if s, say := b.failed(one, at(began), at(now), fmt.Sprintf("why at %d", now)); say != wantSay || s != want {
			t.Errorf("%v at %d s: %v %+v, want %v %+v", one, now, say, s, wantSay, want)
		}
	}
	work := func(one try, now int, want bool) {
		t.Helper()
		if over := b.worked(one, at(now)); over != want {
			t.Errorf("%v at %d s: over %v, want %v", one, now, over, want)
		}
	}
	fail(a, 10, 11, false, saying{})
	work(a, 12, false) // a hiccup is told to nobody
	wantTroubles(t, b, 12)

	fail(a, 20, 24, false, saying{})
	wantTroubles(t, b, 24)
	fail(a, 24, 25, true, saying{since: at(20), stuck: 1, tries: 2})
	wantTroubles(t, b, 25, Trouble{at(20), "events: why at 25"})
	fail(z, 19, 30, false, saying{}) // said already
	fail(other, 21, 31, true, saying{since: at(21), stuck: 1, tries: 1})
	wantTroubles(t, b, 31, Trouble{at(19), "events: why at 30"}, Trouble{at(21), "ledger: why at 31"})
	fail(z, 31, 31, false, saying{})
	wantTroubles(t, b, 31, Trouble{at(19), "events, ledger: why at 31"}) // one reason is told once
	fail(a, 84, 84, false, saying{})
	fail(z, 84, 84, false, saying{})
	fail(a, 85, 85, true, saying{since: at(19), stuck: 2, tries: 4})

	work(a, 86, false) // the other one is still stuck
	work(z, 87, true)
	work(z, 87, false)
	wantTroubles(t, b, 87, Trouble{at(21), "ledger: why at 31"})
	wantTroubles(t, b, 91) // nobody has tried again
}

// TestWhatWasGivenUp no longer stands once something of its kind has worked,
// and else for a minute.
func TestWhatWasGivenUp(t *testing.T) {
	b := newTroubles()
	b.failed(try{"events", "a"}, at(0), at(5), "x")
	if b.worked(try{"events", "b"}, at(14)) {
		t.Error("over, though a may be tried again")
	}
	if !b.worked(try{"events", "b"}, at(16)) {
		t.Error("not over, though nobody tries any more")
	}
	b.failed(try{"events", "a"}, at(20), at(25), "x")
	wantTroubles(t, b, 84, Trouble{at(20), "events: x"})
	wantTroubles(t, b, 85)
	if _, say := b.failed(try{"events", "a"}, at(90), at(95), "x"); !say {
		t.Error("trouble anew is not told")
	}
	b.forget(try{"events", "a"})
	wantTroubles(t, b, 96)
	if len(b.tries) != 0 {
		t.Error("the book grows")
	}
}

func TestReports(t *testing.T) {
	b := newTroubles()
	for now, want := range map[int]int{0: 0} {
		if unsaid, say := b.reported("no permission", at(now)); !say || unsaid != want {
			t.Errorf("the first: %v %d", say, unsaid)
		}
	}
	for now := 1; now < 60; now++ {
		if _, say := b.reported("no permission", at(now)); say {
			t.Errorf("said again at %d s", now)
		}
	}
	if _, say := b.reported("other", at(59)); !say {
		t.Error("another is not said")
	}
	if unsaid, say := b.reported("no permission", at(60)); !say || unsaid != 59 {
		t.Errorf("after a minute: %v %d", say, unsaid)
	}
	wantTroubles(t, b, 118, Trouble{at(0), "no permission"}, Trouble{at(59), "other"})
	wantTroubles(t, b, 119, Trouble{at(0), "no permission"})
	wantTroubles(t, b, 120)
}

func TestLostConnection(t *testing.T) {
	b := newTroubles()
	for now, want := range []bool{0: true, 1: false, 59: false, 60: true, 61: false} {
		if now > 1 && now < 59 {
			continue
		}
		if since, say := b.disconnected(at(now)); say != want || !since.Equal(at(0)) {
			t.Errorf("at %d s: %v since %s", now, say, since)
		}
	}
	wantTroubles(t, b, 3600, Trouble{at(0), "not connected"})
	if lost := b.connected(); !lost.Equal(at(0)) {
		t.Errorf("lost at %s", lost)
	}
	wantTroubles(t, b, 3600)
	if _, say := b.disconnected(at(62)); !say {
		t.Error("the next loss is not told")
	}
}

// TestWordsForAnybody: no subject that holds a destination or a job id, no
// text that was not foreseen.
func TestWordsForAnybody(t *testing.T) {
	denied := func(said string) error {
		return fmt.Errorf("%w: Permissions Violation for %s", nats.ErrPermissionViolation, said)
	}
	api := func(code jetstream.ErrorCode, said string) error {
		return fmt.Errorf("x: %w", &jetstream.APIError{Code: 503, ErrorCode: code, Description: said})
	}
	for want, err := range map[string]error{
		"no permission to publish to chartpost.events.>":                       denied(`Publish to "chartpost.events.live.canary.accepted"`),
		"no permission to publish to chartpost.later.>":                        denied(`Publish to "chartpost.later.canary"`),
		"no permission to publish to $KV.CHARTPOST_LEDGER.>":                   denied(`Publish to "$KV.CHARTPOST_LEDGER.canary"`),
		"no permission to publish to $JS.ACK.>":                                denied(`Publish to "$JS.ACK.CHARTPOST_JOBS.live_canary.1.2.3.4.5"`),
		"no permission to publish to $JS.API.DIRECT.GET.KV_CHARTPOST_L.>":      denied(`Publish to "$JS.API.DIRECT.GET.KV_CHARTPOST_L.$KV.CHARTPOST_LEDGER.canary"`),
		"no permission to publish to $JS.API.CONSUMER.MSG.NEXT.>":              denied(`Publish to "$JS.API.CONSUMER.MSG.NEXT.CHARTPOST_JOBS.live_canary"`),
		"no permission to publish to $JS.API.INFO":                             denied(`Publish to "$JS.API.INFO"`),
		"no permission to subscribe to _INBOX.>":                               denied(`Subscription to "_INBOX.canary.*"`),
		"not connected":                                                        fmt.Errorf("x canary: %w", nats.ErrConnectionReconnecting),
		"nobody answers: JetStream is off, or the stream is missing":           jetstream.ErrNoStreamResponse,
		"no answer in time: no leader, no permission, or an overloaded server": context.DeadlineExceeded,
		"nats: authorization violation":                                        fmt.Errorf("%w: canary", nats.ErrAuthorization),
		"JetStream error 10023: insufficient resources":                        api(10023, "insufficient resources"),
		"JetStream error 10077: maximum bytes exceeded":                        api(10077, "maximum bytes exceeded"),
		"JetStream error 10070: see the log":                                   api(10070, "wrong last msg ID: canary"),
		"an error that the log names":                                          errors.New("canary"),
	} {
		if got := publicly(err); got != want {
			t.Errorf("%v\nis %q\nwant %q", err, got, want)
		}
	}
}
