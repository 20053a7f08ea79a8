package faultlab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// crew is how workers are run.
type crew struct {
	workers, slots, laneSlots int
	lease, grace, answer      time.Duration
	// further settings go before these.
	further []string
}

func (c crew) environment() []string {
	return append([]string{
		fmt.Sprintf("CHARTPOST_CONCURRENCY=%d", c.slots),
		fmt.Sprintf("CHARTPOST_LANE_CONCURRENCY=%d", c.laneSlots),
		"CHARTPOST_BUDGET_REQUESTS=0",
		"CHARTPOST_LEASE=" + c.lease.String(),
		"CHARTPOST_GRACE=" + c.grace.String(),
		"CHARTPOST_ANSWER_TIMEOUT=" + c.answer.String(),
		"CHARTPOST_RETRY_FIRST=1s", "CHARTPOST_RETRY_LONGEST=2s", "CHARTPOST_STALL=30s",
		"CHARTPOST_LOG_LEVEL=debug", "CHARTPOST_LOG_FORMAT=json",
	}, c.further...)
}

// fleet is the worker processes.
type fleet struct {
	lab    *lab
	crew   crew
	logs   string
	places []*place

	mu sync.Mutex
	// doors are the ways to Redox of all workers there were, now in the state
	// that set gives to a new one.
	doors []*Proxy
	set   func(*Proxy) error
}

func newFleet(l *lab, c crew) *fleet {
	l.t.Helper()
	f := &fleet{lab: l, crew: c, logs: l.t.TempDir(), set: (*Proxy).Pass}
	if *keepLogs != "" {
		f.logs = filepath.Join(*keepLogs, strings.ReplaceAll(l.t.Name(), "/", "-"))
		if err := os.MkdirAll(f.logs, 0o700); err != nil {
			l.t.Fatal(err)
		}
	}
	for range c.workers {
		f.places = append(f.places, &place{fleet: f})
	}
	return f
}

// start fills every place.
func (f *fleet) start() {
	f.lab.t.Helper()
	for _, p := range f.places {
		if err := p.start(); err != nil {
			f.lab.t.Fatal(err)
		}
	}
}

// newDoor makes the way to Redox of a new worker.
func (f *fleet) newDoor(worker string) (*Proxy, error) {
	door, err := f.lab.redox.newDoor(f.lab.t, worker)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doors = append(f.doors, door)
	return door, f.set(door)
}

// setDoors lets Redox be reached, refuse or hang, for these workers and those
// to come.
func (f *fleet) setDoors(set func(*Proxy) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = set
	var faults []error
	for _, d := range f.doors {
		faults = append(faults, set(d))
	}
	return errors.Join(faults...)
}

// stop ends all workers.
func (f *fleet) stop() error {
	faults := make([]error, len(f.places))
	var all sync.WaitGroup
	for i, p := range f.places {
		all.Go(func() { faults[i] = p.stop() })
	}
	all.Wait()
	return errors.Join(faults...)
}
