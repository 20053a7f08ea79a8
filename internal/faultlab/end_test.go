package faultlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// rest is what the queue holds now.
func (l *lab) rest(ctx context.Context) (Rest, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := l.js.Stream(ctx, stream("JOBS"))
	if err != nil {
		return Rest{}, err
	}
	due, err := l.js.Stream(ctx, stream("DUE"))
	if err != nil {
		return Rest{}, err
	}
	// The due jobs first, then the consumers: what comes from there or is settled
	// meanwhile is seen later, or gone.
	r := Rest{Messages: due.CachedInfo().State.Msgs, Schedules: due.CachedInfo().State.Msgs}
	leased, served := map[string]uint64{}, map[string]bool{} // by subject
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		leased[c.Config.FilterSubject], served[c.Config.FilterSubject] = uint64(c.NumAckPending), true
		r.Pending += c.NumPending
	}
	if err := list.Err(); err != nil {
		return Rest{}, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix+".>"))
	if err != nil {
		return Rest{}, err
	}
	r.Messages += info.State.Msgs
	for subject, n := range info.State.Subjects {
		if !served[subject] { // whoever makes its consumer is given all of them
			r.Pending += n
		}
		// After a kill a consumer may have leases of messages that are gone, until
		// it is asked again.
		r.Leased += min(leased[subject], n)
	}
	return r, nil
}

// takenUp is how long nothing but orphans must be seen to be believed: workers
// look for them every half minute, and twice before they take one up. It is
// onlyOrphans where no worker lives that long.
const (
	takenUp     = 150 * time.Second
	onlyOrphans = 20 * time.Second
)

// drained waits until the queue is empty, or holds nothing that will ever be
// delivered, and tells whether it became so. It gives up when nothing at all has
// happened for a while.
func (l *lab) drained(ctx context.Context) bool { return l.drainedBut(ctx, takenUp) }

// drainedBut is drained; nothing but orphans for as long as believed is enough.
func (l *lab) drainedBut(ctx context.Context, believed time.Duration) bool {
	moved, told := time.Now(), time.Now()
	var before string
	for pause(ctx, 100*time.Millisecond) {
		rest, err := l.rest(ctx)
		if err != nil {
			continue // an election; the servers' own limits bound it
		}
		l.books.Rest = rest
		if now := fmt.Sprint(rest, len(l.redox.sim.Messages()), l.lastEvent(ctx)); now != before {
			before, moved = now, time.Now()
		}
		still := time.Since(moved)
		if rest == (Rest{}) || rest.Messages == rest.Orphans() && still > believed {
			return true
		}
		if still > patience {
			return false
		}
		if *long && time.Since(told) > 10*time.Second {
			told = time.Now()
			l.t.Logf("in the queue %+v; Redox has %d messages", rest, len(l.redox.sim.Messages()))
		}
	}
	return false
}

func (l *lab) lastEvent(ctx context.Context) uint64 {
	s, err := l.js.Stream(ctx, stream("EVENTS"))
	if err != nil {
		return 0
	}
	return s.CachedInfo().State.LastSeq
}

// shownTimelines is how many jobs' timelines are printed.
const shownTimelines = 8

// close ends the run: workers stop, the books are read, compared and printed.
func (l *lab) close(rules Rules) {
	l.t.Helper()
	if err := l.fleet.stop(); err != nil {
		l.t.Error(err)
	}
	// A job given back at the stop would be here again.
	if rest, err := l.rest(context.Background()); err == nil {
		l.books.Rest = rest
	}
	l.collect()
	found := l.books.Violations(rules)
	l.print(found)
	concerned := l.books.Left
	for _, v := range found {
		l.t.Errorf("%s", v)
		concerned = append(concerned, v.Job)
	}
	slices.Sort(concerned)
	for i, job := range slices.Compact(concerned) {
		if i < shownTimelines && job != "" {
			l.t.Log(l.books.Timeline(job))
		}
	}
}

func (l *lab) print(found []Violation) {
	l.t.Helper()
	lines := append(l.books.Table(), l.measures...)
	lines = append(lines, Line{"violations", fmt.Sprint(len(found))})
	var text strings.Builder
	WriteTable(&text, "books of "+l.ground.String(), lines)
	l.t.Log(text.String())
	if *jsonFile == "" {
		return
	}
	if err := l.writeJSON(*jsonFile, lines, found); err != nil {
		l.t.Error(err)
	}
}

func (l *lab) writeJSON(path string, lines []Line, found []Violation) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	run := map[string]any{
		"scenario": l.ground.scenario, "replicas": l.ground.replicas, "nats": l.ground.version, "seed": l.ground.seed,
		"books": lines, "violations": found,
	}
	return errors.Join(json.NewEncoder(f).Encode(run), f.Close())
}
