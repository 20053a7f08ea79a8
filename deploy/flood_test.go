package deploy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// flood is how many subjects a flood has.
const flood = 3000

// TestAFloodDelaysFew: many jobs at once, from a submitter
// that is given one destination to that, and from one that is given all of them to 3,000
// subjects that are no destination's, and to 3,000 destinations that Chartpost has never
// seen. Jobs of others go to a destination of which one job was accepted before, and,
// once the flood is stored, to destinations that Chartpost has never seen either.
//
// It measures delays, and so runs alone.
func TestAFloodDelaysFew(t *testing.T) {
	s := hostileSite(t)
	seen := s.watch()
	log, _ := s.work()
	defer func() {
		if t.Failed() {
			t.Log(s.report(log))
		}
	}()
	v := newVictims(s, seen)
	for _, c := range []struct {
		name, role string
		jobs       int
		most       time.Duration
		subject    func(n int) string
	}{
		{"one", hostile, flood / 5, mostDelay, func(int) string { return "own" }},
		{"misaddressed", submitter, flood, mostDelay, func(n int) string { return fmt.Sprintf("no_such_%d", n) }},
		{"lanes", submitter, flood, mostDelayInLanes, func(n int) string { return fmt.Sprintf("unknown-%d", n) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			js := s.stream(c.role)
			began := time.Now()
			v.during(c.name, known, func() {
				for n := range c.jobs {
					subject := c.subject(n)
					_, err := js.PublishAsync("chartpost.jobs.live."+subject, v.job(fmt.Sprintf("flood-%s-%d", c.name, n), strings.ReplaceAll(subject, "_", "-")))
					must(t, err)
				}
				<-js.PublishAsyncComplete()
				unseen := func(n int) string { return fmt.Sprintf("%s-new-%d", c.name, n) }
				v.during(c.name+"-new", unseen, func() {
					devtest.Until(t, "the flood has ended", 2*patience, func() bool { return seen.ended("flood-"+c.name) == c.jobs })
				})
			})
			t.Logf("the flood took %v", time.Since(began))
			v.unharmed(nil, c.most)
		})
	}
}

// ended counts the jobs that have ended, by the start of their ids.
func (e *seen) ended(prefix string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := map[string]bool{}
	for _, x := range e.all {
		if strings.HasPrefix(x.Data.JobID, prefix) && x.Data.Status.Final() {
			ids[x.Data.JobID] = true
		}
	}
	return len(ids)
}
