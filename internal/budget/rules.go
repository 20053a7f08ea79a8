package budget

import "time"

// rules are what follows from the settings. A window of five minutes gives the
// numbers in brackets.
type rules struct {
	requests, most int
	reserve        float64
	window         time.Duration
	// slot [1 s] is how finely the record knows when requests were made.
	slot time.Duration
	// lag [1.25 s] is how long after its Take a request may count at Redox, and
	// what the clocks of a cluster's NATS servers may differ by.
	lag time.Duration
	// every [1 s] is between two exchanges of a worker that has work; urgent
	// [250 ms] when live requests wait; linger [10 s] until one without work
	// gives back what it holds.
	every, urgent, linger time.Duration
	// valid [30 s] is how long permits last. Those of a worker that died are
	// counted as spent at the end of it.
	valid time.Duration
}

// slots is how many make a window.
const slots = 300

func rulesOf(s Settings) rules {
	travel := s.Travel
	if travel == 0 {
		travel = min(time.Second, s.Window/200)
	}
	every := min(max(s.Window/slots, 200*time.Millisecond), time.Second)
	valid := max(s.Window/10, 10*every)
	return rules{
		requests: s.Requests, most: s.Most, reserve: s.Reserve, window: s.Window,
		slot: s.Window / slots, lag: travel + s.Window/1200,
		every: every, urgent: every / 4, linger: valid / 3, valid: valid,
	}
}

// slotOf is the slot a time of the store's clock, in ns, falls into.
func (r rules) slotOf(at int64) int64 { return at / int64(r.slot) }

// doubt [32.5 s] is more than a time that a worker believes can be ahead of the
// store's clock while nobody knows yet that it was set back.
func (r rules) doubt() time.Duration { return r.valid + 2*r.lag }

// burst [3 s] is how much of backfill's pace a fleet may take at one exchange.
func (r rules) burst() time.Duration { return max(r.window/100, 3*r.every) }

// counts [302.25 s] is how long a request counts in the record, on the average.
func (r rules) counts() time.Duration { return r.window + r.lag + (r.slot+r.every)/2 }
