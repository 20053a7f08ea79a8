package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/schemas"
)

func (w *world) openRuns() *Runs {
	w.t.Helper()
	runs, err := w.Runs(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return runs
}

// TestRunRecords: one of two writers wins, and a write that is repeated because its
// answer was lost is not taken for somebody else's.
func TestRunRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runs, ctx := w.openRuns(), t.Context()
	if value, revision, err := runs.Read(ctx, "backfill.a"); value != nil || revision != 0 || err != nil {
		t.Errorf("%q %d %v", value, revision, err)
	}
	first, err := runs.Write(ctx, "backfill.a", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := runs.Write(ctx, "backfill.a", []byte("1"), 0); again != first || err != nil {
		t.Errorf("the same write again: %d %v", again, err)
	}
	if _, err := runs.Write(ctx, "backfill.a", []byte("2"), 0); !errors.Is(err, backfill.ErrChanged) {
		t.Errorf("another first: %v", err)
	}
	second, err := runs.Write(ctx, "backfill.a", []byte("2"), first)
	if err != nil {
		t.Fatal(err)
	}
	if value, revision, err := runs.Read(ctx, "backfill.a"); string(value) != "2" || revision != second || err != nil {
		t.Errorf("%q %d %v", value, revision, err)
	}
	if _, err := runs.Write(ctx, "backfill.a.book.0", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if keys, err := runs.Keys(ctx, "backfill.*"); !slices.Equal(keys, []string{"backfill.a"}) || err != nil {
		t.Errorf("%q %v", keys, err)
	}
	if keys, err := runs.Keys(ctx, "nothing.*"); len(keys) != 0 || err != nil {
		t.Errorf("%q %v", keys, err)
	}
}

// TestRunWriteOutlivesTheServer: a write to a server that does not answer is tried
// until it is known how it ended.
func TestRunWriteOutlivesTheServer(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	runs := w.openRuns()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := runs.Write(t.Context(), "backfill.a", []byte("1"), 0)
		done <- err
	}()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(limit):
		t.Error("the write does not end")
	}
}

func runJobs(from, to int64, destination string) (jobs []backfill.Job) {
	for line := from; line <= to; line++ {
		jobs = append(jobs, backfill.Job{Line: line, ID: fmt.Sprintf("job-%d", line), Destination: destination, Data: fmt.Appendf(nil, "job %d", line)})
	}
	return jobs
}

func always() error { return nil }

// TestRunJobs: jobs go to their lanes, also those that are published again, and what
// is in the queue is found. A header that a submitter writes is no mark of a run.
func TestRunJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, q := t.Context(), w.RunJobs()
	for _, jobs := range [][]backfill.Job{runJobs(2, 700, "x"), runJobs(2, 700, "x"), runJobs(701, 702, "b_c")} {
		if err := q.Publish(ctx, "r", jobs, always); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Publish(ctx, "other", runJobs(5, 6, "x"), always); err != nil {
		t.Fatal(err)
	}
	w.publish(lane1, 3) // a live job is of no line
	forged := nats.NewMsg("chartpost.jobs.backfill.x")
	forged.Header.Set(HeaderBackfill, "r/900")
	w.send(forged)
	until(t, "all jobs are in their lanes", func() bool {
		return w.stored(jobs, "chartpost.jobs.backfill.x") == 2*699+2+1 && w.stored(jobs, "chartpost.jobs.backfill.b_5Fc") == 2
	})
	found := map[int64]int{}
	if err := q.Queued(ctx, "r", func(line int64) { found[line]++ }); err != nil {
		t.Fatal(err)
	}
	if len(found) != 701 || found[2] < 2 || found[702] == 0 || found[900] != 0 {
		t.Errorf("%d lines were found", len(found))
	}
}

// TestRunJobsStop: the first refusal ends a publish, before its message.
func TestRunJobsStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost, asked := errors.New("lost"), 0
	err := w.RunJobs().Publish(t.Context(), "r", runJobs(1, 9, "x"), func() error {
		if asked++; asked > 3 {
			return lost
		}
		return nil
	})
	if !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
	until(t, "three jobs are there", func() bool { return w.stored(jobs, "chartpost.jobs.backfill.x") == 3 })
}

// TestRunJobsOutage: what a server did not confirm before it went away is published
// again, and each publish is stored once.
func TestRunJobsOutage(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	if err := w.RunJobs().Publish(t.Context(), "r", runJobs(1, 10, "x"), always); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.RunJobs().Publish(t.Context(), "r", runJobs(1, 30, "x"), always) }()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(limit):
		t.Fatal("the publish does not end")
	}
	until(t, "all are in their lane", func() bool { return w.stored(jobs, "chartpost.jobs.backfill.x") >= 40 })
	if n := w.stored(jobs, "chartpost.jobs.backfill.x"); n != 40 {
		t.Errorf("%d jobs, want the 10 and the 30", n)
	}
}

// TestRunLedger: many records at once, from any server and from the leader.
func TestRunLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	kv, err := w.Ledger(ctx)
	if err != nil {
		t.Fatal(err)
	}
	key := func(i int) schemas.JobKey { return schemas.JobKey{Destination: "d_1", ID: fmt.Sprintf("job-%d", i)} }
	var keys []schemas.JobKey
	for i := range 1200 {
		if keys = append(keys, key(i)); i%3 == 0 {
			if _, err := kv.Create(ctx, key(i).Tokens(), []byte(key(i).ID)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := kv.Delete(ctx, key(3).Tokens()); err != nil {
		t.Fatal(err)
	}
	for _, newest := range []bool{false, true} {
		got, err := w.RunLedger().Records(ctx, keys, newest)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 399 || string(got[key(6)]) != "job-6" || got[key(3)] != nil || got[key(1)] != nil {
			t.Errorf("newest %v: %d records", newest, len(got))
		}
		if got, err := w.RunLedger().Records(ctx, []schemas.JobKey{{Destination: "d", ID: "nobody"}, {Destination: "other", ID: "job-6"}}, newest); len(got) != 0 || err != nil {
			t.Errorf("newest %v: %v %v", newest, got, err)
		}
	}
}

// TestRunEvents: what was there comes first, then what comes; of others' events only
// the sequence.
func TestRunEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lane := schemas.Lane{Class: schemas.Backfill, Destination: "x"}
	tell := func(id, run string, status schemas.Status) {
		t.Helper()
		data := schemas.EventData{JobID: id, Class: lane.Class, Destination: lane.Destination, Status: status, Attempt: 1, Correlation: map[string]string{"backfill_run": run}}
		data.Receipt = &schemas.Receipt{Status: 200, AcceptedAt: time.Now()}
		if err := w.Outbox().Tell(t.Context(), lane, schemas.NewEvent("chartpost", data, time.Now())); err != nil {
			t.Error(err)
		}
	}
	follow := func(after uint64, wait bool) (told []string, last uint64) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), limit)
		defer stop()
		caught := func() bool {
			told = append(told, "caught up")
			if wait {
				go tell("c", "r", schemas.StatusAccepted)
			}
			return wait
		}
		err := w.RunEvents().Follow(ctx, "r", after, time.Now().Add(-time.Hour), caught, func(sequence uint64, e *schemas.Event) {
			last = sequence
			if e == nil {
				told = append(told, "-")
				return
			}
			if told = append(told, e.Data.JobID); e.Data.JobID == "c" && wait {
				stop()
			}
		})
		if err != nil && !(wait && errors.Is(err, context.Canceled)) {
			t.Fatal(err)
		}
		return told, last
	}
	if got, _ := follow(0, false); !slices.Equal(got, []string{"caught up"}) {
		t.Errorf("%q", got)
	}
	tell("a", "r", schemas.StatusAccepted)
	tell("b", "other", schemas.StatusAccepted)
	tell("a", "r", schemas.StatusUploaded)
	got, last := follow(0, true)
	if !slices.Equal(got, []string{"a", "-", "caught up", "c"}) || last != 4 {
		t.Errorf("%q, last %d", got, last)
	}
	if got, _ := follow(1, false); !slices.Equal(got, []string{"-", "c", "caught up"}) {
		t.Errorf("behind the first: %q", got)
	}
	if got, _ := follow(9999, false); !slices.Equal(got, []string{"a", "-", "c", "caught up"}) {
		t.Errorf("a stream made anew: %q", got)
	}
}
