package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// startup is how long a worker took from its start to being ready, in
// milliseconds, where streams and buckets are there already.
type startup struct {
	// Log is until the line "worker ready", Answer until /readyz said 200.
	Log    []float64 `json:"log_ms"`
	Answer []float64 `json:"readyz_ms"`
}

const startups = 10

func measureStartup(ctx context.Context, s *stage, _ options, to *report) (err error) {
	receiver, _, err := s.redox(ctx, row{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	q, err := s.queue(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	to.Startup = &startup{}
	w := workerSettings{name: "worker", nats: q.url(), redox: receiver.URL(), slots: 16, laneSlots: 16}
	for n := range 1 + startups { // the first one finds the program on the disk
		log, answer, err := s.startup(ctx, w)
		if err != nil {
			return err
		}
		if n > 0 {
			to.Startup.Log, to.Startup.Answer = append(to.Startup.Log, log), append(to.Startup.Answer, answer)
		}
	}
	progress("startup: log %.0f ms, /readyz %.0f ms", median(to.Startup.Log), median(to.Startup.Answer))
	return nil
}

// startup starts and stops one worker.
func (s *stage) startup(ctx context.Context, w workerSettings) (log, answer float64, err error) {
	began := time.Now()
	p, err := s.worker(w)
	if err != nil {
		return 0, 0, err
	}
	if err := p.ready(ctx); err != nil {
		return 0, 0, errors.Join(err, p.stop())
	}
	answer = milliseconds(time.Since(began))
	if err := p.stop(); err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		return 0, 0, err
	}
	at, err := readyAt(string(text))
	return milliseconds(at.Sub(began)), answer, err
}

// readyAt is the time of the line "worker ready" in a worker's log.
func readyAt(log string) (time.Time, error) {
	for line := range strings.Lines(log) {
		var said struct {
			Time time.Time `json:"time"`
			Msg  string    `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "worker ready" {
			return said.Time, nil
		}
	}
	return time.Time{}, errors.New("the worker's log does not say that it is ready")
}

// ready waits until a worker takes jobs.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := p.get(ctx, "/readyz"); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return errors.Join(errors.New("the worker has ended"), p.ended())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func printStartup(w io.Writer, s *startup) {
	t := newTable(w, "start → ready|starts|median ms|worst ms")
	defer t.Flush()
	fmt.Fprintf(t, "\"worker ready\" in the log\t%d\t%.0f\t%.0f\n", len(s.Log), median(s.Log), percentile(s.Log, 1))
	fmt.Fprintf(t, "/readyz says 200\t%d\t%.0f\t%.0f\n", len(s.Answer), median(s.Answer), percentile(s.Answer, 1))
}
