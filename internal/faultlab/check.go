package faultlab

import (
	"fmt"
	"slices"
	"time"
)

// Rules are what a scenario demands beyond what always holds.
type Rules struct {
	// AllAccepted: every job ends as accepted, but for those to Except.
	AllAccepted bool
	Except      string
	// NoRepeats: Redox takes no message twice.
	NoRepeats bool
	// FewSpend, unless 0, is how many jobs of a lane may lose their first attempt to
	// a passing fault that is not theirs, probes left aside.
	FewSpend int
	// MayWake: what a worker uploads that was frozen until another had its job
	// is counted and not held against it.
	MayWake bool
	// Term is how long a worker may take to end after SIGTERM.
	Term time.Duration
}

// Violation is a promise that was not kept. Job is empty where it is about no
// single one.
type Violation struct {
	Rule, Job, Text string
}

func (v Violation) String() string {
	if v.Job == "" {
		return v.Rule + ": " + v.Text
	}
	return v.Rule + ": job " + v.Job + ": " + v.Text
}

// page is the books of one job.
type page struct {
	job       Job
	posts     []Post
	uploads   []Upload
	events    []Event
	revisions []Revision
	letters   []Letter
}

// pages sorts the books by job. What is about no known job comes under its own
// id with an empty Job.
func (b *Books) pages() map[string]*page {
	all := map[string]*page{}
	get := func(id string) *page {
		if all[id] == nil {
			all[id] = &page{}
		}
		return all[id]
	}
	for _, j := range b.Jobs {
		get(j.ID).job = j
	}
	for _, p := range b.Posts {
		get(p.Job).posts = append(get(p.Job).posts, p)
	}
	for _, u := range b.Uploads {
		get(u.Job).uploads = append(get(u.Job).uploads, u)
	}
	for _, e := range b.Events {
		get(e.Job).events = append(get(e.Job).events, e)
	}
	for _, r := range b.Revisions {
		get(r.Job).revisions = append(get(r.Job).revisions, r)
	}
	for _, l := range b.Letters {
		get(l.Job).letters = append(get(l.Job).letters, l)
	}
	return all
}

// Violations compares the books. The order is that of the jobs.
func (b *Books) Violations(rules Rules) []Violation {
	var found []Violation
	pages := b.pages()
	for _, id := range sortedKeys(pages) {
		p := pages[id]
		report := func(rule, format string, args ...any) {
			found = append(found, Violation{rule, id, fmt.Sprintf(format, args...)})
		}
		if p.job.ID == "" {
			report("stranger", "the books speak of a job that was never published")
			continue
		}
		p.ends(rules, report)
		p.content(report)
		p.uploadsOnce(rules, report)
		p.announced(rules, report)
	}
	return append(found, b.world(rules)...)
}

// ends: each job has one end, and it is the truth.
func (p *page) ends(rules Rules, report func(rule, format string, args ...any)) {
	var ends []string
	for _, e := range p.events {
		if e.Final() {
			ends = append(ends, e.Status)
		}
		if e.Status == "duplicate" && p.job.Tries == 1 {
			report("duplicate", "it was published once and called a duplicate")
		}
	}
	switch {
	case len(ends) == 0:
		report("lost", "it has no final event")
		return
	case len(ends) > 1:
		report("one end", "it has %d final events: %v", len(ends), ends)
	}
	end := ends[len(ends)-1]
	switch {
	case end == "accepted" && len(p.posts) == 0:
		report("truth", "it is said to be accepted and Redox has no message")
	case (end == "failed" || end == "cancelled") && len(p.posts) > 0:
		report("truth", "it is said to be %s and Redox has its message", end)
	}
	if dead := len(p.letters) > 0; dead != (end == "failed" || end == "unknown") {
		report("dead letters", "it ended as %s and has %d dead letters", end, len(p.letters))
	}
	if rules.AllAccepted && end != "accepted" && p.job.Destination != rules.Except {
		report("accepted", "it ended as %s", end)
	}
}

// content: Redox has the bytes that lie in the store, under one identity.
func (p *page) content(report func(rule, format string, args ...any)) {
	for _, post := range p.posts {
		if !slices.Equal(post.Files, p.job.Files) {
			report("bytes", "the files at Redox are others than those in the store")
		}
		if post.Destination != p.job.Destination {
			report("destination", "it went to %s instead of %s", post.Destination, p.job.Destination)
		}
		if post.Bundle == "" || post.Bundle != p.posts[0].Bundle {
			report("identity", "its sendings have different identifiers")
		}
	}
}

// uploadsOnce: no upload begins after the ledger had the file's URL.
func (p *page) uploadsOnce(rules Rules, report func(rule, format string, args ...any)) {
	known := map[int]Revision{}
	for _, r := range p.revisions {
		for i, has := range r.Known {
			if _, before := known[i]; has && !before {
				known[i] = r
			}
		}
	}
	for _, u := range p.uploads {
		if rules.MayWake && p.lost(u.From, u.Started) {
			continue
		}
		if r, ok := known[u.Index]; ok && u.Started.After(r.At) {
			report("upload once", "file %d was uploaded by %s %s after the ledger had its URL",
				u.Index, u.From, u.Started.Sub(r.At).Round(time.Millisecond))
		}
	}
}

// announced: whoever reads the events knows of every repeat.
func (p *page) announced(rules Rules, report func(rule, format string, args ...any)) {
	if len(p.posts) < 2 {
		return
	}
	if rules.NoRepeats {
		report("no repeats", "Redox took its message %d times", len(p.posts))
	}
	for _, e := range p.events {
		if e.PossibleDuplicate || e.Status == "duplicate" {
			continue
		}
		switch {
		case e.Final():
			report("announced", "Redox took its message %d times and %s does not say so", len(p.posts), e.ID)
		case e.At.After(p.posts[1].At):
			report("announced", "event %s came after a repeat and does not say so", e.ID)
		}
	}
}

// world: what is about no single job.
func (b *Books) world(rules Rules) []Violation {
	var found []Violation
	report := func(rule, format string, args ...any) {
		found = append(found, Violation{Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	if repeats, bound := b.Repeats(), b.RepeatsBound(); repeats > bound {
		report("repeats", "%d messages were repeated; messages in flight at each harm and lost answers explain %d", repeats, bound)
	}
	for lane, n := range b.firstSpendings() {
		if rules.FewSpend > 0 && n > rules.FewSpend {
			report("few spend", "%d jobs of %s lost their first attempt to faults of others, and were no probes", n, lane)
		}
	}
	switch orphans := b.Rest.Orphans(); {
	case b.Rest.Leased+b.Rest.Pending+b.Rest.Schedules > 0:
		report("drained", "the queue still holds %+v: %v", b.Rest, b.Left)
	case orphans > 0:
		report("orphans", "the queue holds %d messages that are acknowledged and will never be delivered: %v", orphans, b.Left)
	}
	for _, e := range b.Exits {
		switch {
		case e.Asked == "" && !e.Ready && b.queueAway(e.At):
			// A worker does not start without its queue, and says so by its code;
			// whoever supervises it starts it again.
		case e.Asked == "":
			report("exit", "worker %s ended by itself with code %d", e.Worker, e.Code)
		case e.Asked == "TERM" && e.Code != 0:
			report("exit", "worker %s ended with code %d after SIGTERM", e.Worker, e.Code)
		case e.Asked == "TERM" && e.Took > rules.Term:
			report("exit", "worker %s took %s to end after SIGTERM, %s are allowed", e.Worker, e.Took.Round(time.Millisecond), rules.Term)
		}
	}
	for _, leak := range b.Leaks {
		report("patient data", "a canary is in %s", leak)
	}
	return found
}
