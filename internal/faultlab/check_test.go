package faultlab

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// sound are the books of one job that was delivered after its worker was killed
// while sending: it was sent twice, and says so.
func sound() *Books {
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	job, a, b := "job-1", workerPrefix+"1-1", workerPrefix+"2-1"
	return &Books{
		Jobs:    []Job{{ID: job, Destination: "x", Transfer: "upload", Files: []string{"f0"}, Tries: 1, Published: at(0)}},
		Uploads: []Upload{{Job: job, From: a, Started: at(20), Finished: at(30)}},
		Posts: []Post{
			{Job: job, Destination: "x", Bundle: "b", Files: []string{"f0"}, From: a, Started: at(60), At: at(65)},
			{Job: job, Destination: "x", Bundle: "b", Files: []string{"f0"}, From: b, Started: at(130), At: at(135)},
		},
		Revisions: []Revision{
			{Job: job, Phase: "working", Owner: a, Attempt: 1, At: at(10)},
			{Job: job, Phase: "working", Owner: a, Attempt: 1, Known: []bool{true}, At: at(40)},
			{Job: job, Phase: "sending", Owner: a, Attempt: 1, Known: []bool{true}, At: at(50)},
			{Job: job, Phase: "waiting", Owner: b, Attempt: 1, Known: []bool{true}, PossibleDuplicate: true, At: at(100)},
			{Job: job, Phase: "sending", Owner: b, Attempt: 2, Known: []bool{true}, PossibleDuplicate: true, At: at(120)},
			{Job: job, Phase: "accepted", Owner: b, Attempt: 2, Known: []bool{true}, PossibleDuplicate: true, At: at(140)},
		},
		Events: []Event{
			{ID: "job-1/1/uploaded", Job: job, Status: "uploaded", Attempt: 1, At: at(55)},
			{ID: "job-1/1/retrying", Job: job, Status: "retrying", Attempt: 1, PossibleDuplicate: true, At: at(110)},
			{ID: "job-1/2/accepted", Job: job, Status: "accepted", Attempt: 2, PossibleDuplicate: true, At: at(150)},
		},
		Harms: []Harm{{At: at(70), What: killed, Whom: a}},
		Exits: []Exit{{Worker: a, At: at(70), Asked: "KILL", Code: -1, Ready: true}, {Worker: b, At: at(200), Asked: "TERM", Took: time.Second, Ready: true}},
	}
}

var demanding = Rules{AllAccepted: true, Term: 10 * time.Second}

func TestSoundBooksHaveNoViolation(t *testing.T) {
	if found := sound().Violations(demanding); len(found) > 0 {
		t.Error(found)
	}
}

// TestEveryRuleBites spoils the sound books in one way after the other.
func TestEveryRuleBites(t *testing.T) {
	last := func(b *Books) *Event { return &b.Events[len(b.Events)-1] }
	cases := map[string]struct {
		rule  string
		rules Rules
		spoil func(b *Books)
	}{
		"no end": {"lost", demanding, func(b *Books) { b.Events = b.Events[:2] }},
		"two ends": {"one end", demanding, func(b *Books) {
			b.Events = append(b.Events, Event{ID: "e", Job: "job-1", Status: "failed", PossibleDuplicate: true})
		}},
		"accepted, nothing there":     {"truth", demanding, func(b *Books) { b.Posts = nil }},
		"failed, and there":           {"truth", demanding, func(b *Books) { last(b).Status = "failed" }},
		"failed":                      {"accepted", demanding, func(b *Books) { last(b).Status = "failed" }},
		"unknown without dead letter": {"dead letters", demanding, func(b *Books) { last(b).Status = "unknown" }},
		"accepted with dead letter":   {"dead letters", demanding, func(b *Books) { b.Letters = []Letter{{Job: "job-1"}} }},
		"duplicate of one publish":    {"duplicate", demanding, func(b *Books) { b.Events[0].Status = "duplicate" }},
		"other bytes":                 {"bytes", demanding, func(b *Books) { b.Posts[0].Files = []string{"f1"} }},
		"other destination":           {"destination", demanding, func(b *Books) { b.Posts[0].Destination = "y" }},
		"other identifiers":           {"identity", demanding, func(b *Books) { b.Posts[1].Bundle = "c" }},
		"uploaded although known":     {"upload once", demanding, func(b *Books) { b.Uploads[0].Started = b.Revisions[1].At.Add(time.Millisecond) }},
		"repeat not said at the end":  {"announced", demanding, func(b *Books) { last(b).PossibleDuplicate = false }},
		"repeat not said on the way":  {"announced", demanding, func(b *Books) { b.Events[0].At = b.Posts[1].At.Add(time.Millisecond) }},
		"repeat where none may be":    {"no repeats", Rules{NoRepeats: true, Term: demanding.Term}, func(*Books) {}},
		"repeat without harm":         {"repeats", demanding, func(b *Books) { b.Harms = nil }},
		"a job that spends for others": {"few spend", Rules{FewSpend: 2, Term: demanding.Term}, func(b *Books) {
			b.Spendings = slices.Repeat([]Spending{{Job: "job-1", Code: "redox_status_503", Attempt: 1}}, 3)
		}},
		"queue not empty":              {"drained", demanding, func(b *Books) { b.Rest.Messages, b.Rest.Pending = 1, 1 }},
		"schedule that never fires":    {"drained", demanding, func(b *Books) { b.Rest.Messages, b.Rest.Schedules = 1, 1 }},
		"message nobody will be given": {"orphans", demanding, func(b *Books) { b.Rest.Messages = 1 }},
		"delivery leased":              {"drained", demanding, func(b *Books) { b.Rest.Leased = 1 }},
		"worker ends by itself":        {"exit", demanding, func(b *Books) { b.Exits[1].Asked = "" }},
		"worker does not start":        {"exit", demanding, func(b *Books) { b.Exits[1].Asked, b.Exits[1].Ready = "", false }},
		"bad code after SIGTERM":       {"exit", demanding, func(b *Books) { b.Exits[1].Code = 1 }},
		"SIGTERM takes too long":       {"exit", demanding, func(b *Books) { b.Exits[1].Took = time.Minute }},
		"canary":                       {"patient data", demanding, func(b *Books) { b.Leaks = []string{"a log"} }},
		"a job that nobody published":  {"stranger", demanding, func(b *Books) { b.Uploads = append(b.Uploads, Upload{}) }},
		"a message of an unknown job":  {"stranger", demanding, func(b *Books) { b.Posts = append(b.Posts, Post{Job: "job-2"}) }},
		"an event of an unknown job":   {"stranger", demanding, func(b *Books) { b.Events = append(b.Events, Event{Job: "job-2"}) }},
		"a revision of an unknown job": {"stranger", demanding, func(b *Books) { b.Revisions = append(b.Revisions, Revision{Job: "job-2"}) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := sound()
			c.spoil(b)
			for _, v := range b.Violations(c.rules) {
				if v.Rule == c.rule {
					return
				}
			}
			t.Errorf("rule %q did not see it", c.rule)
		})
	}
}

// TestWhatHarmExplains: what was done to the world is no fault of the product.
func TestWhatHarmExplains(t *testing.T) {
	b := sound()
	b.Jobs[0].Tries = 2
	b.Events = append([]Event{{ID: "d", Job: "job-1", Status: "duplicate"}}, b.Events...)
	b.Harms = append(b.Harms, Harm{At: b.Exits[1].At.Add(-time.Second), What: queueKilled})
	b.Exits[1].Asked, b.Exits[1].Ready, b.Exits[1].Code = "", false, 1
	if found := b.Violations(demanding); len(found) > 0 {
		t.Error(found)
	}
	b.Harms = append(b.Harms, Harm{At: b.Exits[1].At.Add(-2 * electionTime), What: queueBack})
	b.Harms[1].At = b.Harms[2].At.Add(-time.Second)
	if found := b.Violations(demanding); len(found) != 1 {
		t.Errorf("a worker that does not start long after the queue is back: %v", found)
	}
}

// TestOvertaken: a message whose answer could not be written down, since the
// queue was away, may be repeated by who got its job; not so without that.
func TestOvertaken(t *testing.T) {
	b := sound()
	b.Harms[0] = Harm{At: b.Harms[0].At, What: queueKilled}
	if found := b.Violations(demanding); len(found) > 0 || b.Overtaken() != 1 {
		t.Error(b.Overtaken(), found)
	}
	b.Harms[0].At = b.Revisions[5].At.Add(time.Millisecond)
	if found := b.Violations(demanding); len(found) != 1 {
		t.Errorf("the queue went after the second sending: %v", found)
	}
	if n := sound().Overtaken(); n != 0 {
		t.Errorf("%d overtaken where a worker was killed", n)
	}
}

func TestSpendings(t *testing.T) {
	got, err := spendings([]byte(`{"msg":"accepted","job":"a"}
{"msg":"not accepted","job":"b","outcome":"waiting","kind":"retryable","scope":"destination","code":"x","probe":true,"attempt":1}
{"msg":"not accepted","job":"c","outcome":"waiting","kind":"retryable","scope":"redox","code":"y","probe":false,"attempt":2}
{"msg":"not accepted","job":"d","outcome":"working","kind":"retryable","scope":"redox","code":"y","probe":false}
{"msg":"not accepted","job":"e","outcome":"waiting","kind":"retryable","scope":"job","code":"z","probe":false}
`))
	if want := []Spending{{"b", "x", 1, true}, {"c", "y", 2, false}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}

// TestInFlight: a worker that was frozen while sending, and is given the same
// job again when it wakes, was in flight all the same.
func TestInFlight(t *testing.T) {
	b := sound()
	for i := range b.Revisions {
		b.Revisions[i].Owner = b.Harms[0].Whom
	}
	b.Harms[0].What = frozen
	b.Harms = append(b.Harms, Harm{At: b.Harms[0].At.Add(20 * time.Millisecond), What: woken, Whom: b.Harms[0].Whom})
	if n := b.InFlight(); n != 1 {
		t.Errorf("%d in flight, want 1", n)
	}
	// Frozen again when all was said: the accepted message is not in flight.
	b.Harms = append(b.Harms, Harm{At: b.Revisions[5].At.Add(time.Millisecond), What: frozen, Whom: b.Harms[0].Whom})
	if n := b.InFlight(); n != 1 {
		t.Errorf("%d in flight after a second freeze, want 1", n)
	}
	if n := sound().InFlight(); n != 1 {
		t.Errorf("%d in flight at a kill, want 1", n)
	}
}

func TestStraysAndTimeline(t *testing.T) {
	b := sound()
	if s := b.Strays(); len(s.Posts)+len(s.Uploads) > 0 {
		t.Errorf("strays in sound books: %+v", s)
	}
	woken := b.Posts[0]
	woken.Started, woken.At = woken.Started.Add(time.Second), woken.At.Add(time.Second)
	b.Posts = append(b.Posts, woken)
	if s := b.Strays(); len(s.Posts) != 1 || s.Posts[0] != "job-1" {
		t.Errorf("a worker that had lost its job sent a message: %+v", s)
	}
	text := b.Timeline("job-1")
	for _, want := range []string{"published", "ledger 0: sending", "upload of file 0", "Redox has the message", "kill -9", "event job-1/2/accepted"} {
		if !strings.Contains(text, want) {
			t.Errorf("the timeline has no %q:\n%s", want, text)
		}
	}
	if b.Timeline("nobody") == "" {
		t.Error("nothing is said of an unknown job")
	}
}

func TestRateOf(t *testing.T) {
	from := time.Unix(1000, 0)
	var log []Request
	for _, ms := range []int{-1, 0, 10, 999, 1500, 5001} {
		log = append(log, Request{Kind: "message", Start: from.Add(time.Duration(ms) * time.Millisecond)})
	}
	if r := rateOf(log, from, from.Add(5*time.Second)); r.total != 4 || r.most != 3 {
		t.Errorf("%+v", r)
	}
}
