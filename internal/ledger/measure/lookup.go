package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/job"
)

// rate is how many lookups are made a second: the most that Redox takes.
const rate = 25

var errWrong = errors.New("the ledger's answer is wrong")

// lookUps measures lookups of each kind, of random keys, and what they load into
// the server's memory.
func (m *measurement) lookUps(ctx context.Context) error {
	l, err := m.openLedger(ctx)
	if err != nil {
		return err
	}
	absent := m.records
	find := func(number int, want bool) error {
		record, ok, err := l.Find(ctx, keyOf(number))
		if err == nil && (ok != want || ok && record.Digest != recordOf(number).Digest) {
			return errWrong
		}
		return err
	}
	for _, kind := range []struct {
		name string
		ask  func() error
	}{
		{"find, absent", func() error { absent++; return find(absent, false) }},
		{"find, present", func() error { return find(rand.IntN(m.records), true) }},
		{"open, new", func() error {
			absent++
			_, created, err := l.Open(ctx, keyOf(absent), job.Record{Phase: job.Working, Attempt: 1, Digest: "d", Owner: "w"})
			if err == nil && !created {
				return errWrong
			}
			return err
		}},
	} {
		if err := m.paced(kind.name, kind.ask); err != nil {
			return err
		}
	}
	return nil
}

// paced asks 25 times a second and prints how long the answers took.
func (m *measurement) paced(name string, ask func() error) error {
	most := m.server.watch()
	var took []time.Duration
	ticks := time.NewTicker(time.Second / rate)
	defer ticks.Stop()
	for range int(m.each.Seconds() * rate) {
		<-ticks.C
		began := time.Now()
		if err := ask(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() * 1e3 }
	fmt.Printf("%s: p50 %.2f ms, p99 %.2f ms, worst %.1f ms; memory %.0f MB at most\n", name, at(.5), at(.99), at(1), most()/1e6)
	return nil
}
