package natsq

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/schemas"
)

// TestARefusedFeederSaysSo: what a feeder tries in vain is in Troubles and in the
// log, and it goes on once the queue relents.
func TestARefusedFeederSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	runs, err := w.Runs(t.Context())
	must(t, err)
	limitTo := func(name string, bytes int32) {
		t.Helper()
		stream, err := w.js.Stream(t.Context(), name)
		must(t, err)
		config := stream.CachedInfo().Config
		config.MaxMsgSize = bytes
		_, err = w.js.UpdateStream(t.Context(), config)
		must(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	for _, c := range []struct {
		what, stream string
		try          func() error
	}{
		{"publishing jobs", w.stream(jobs), func() error {
			line := backfill.Job{Line: 2, ID: "job-canary", Destination: lane1.Destination, Data: []byte("{}")}
			return w.RunJobs().Publish(ctx, "y2019", []backfill.Job{line}, func() error { return nil })
		}},
		{writingRuns, "KV_" + w.stream(control), func() error {
			_, err := runs.Write(ctx, backfill.RunPrefix+"y2019", []byte("{}"), 0)
			return err
		}},
	} {
		limitTo(c.stream, 1)
		told := make(chan error, 1)
		go func() { told <- c.try() }()
		until(t, "the trouble is known", func() bool {
			return strings.Contains(fmt.Sprint(w.Troubles()), c.what+": JetStream error 10054")
		})
		if said := fmt.Sprint(w.Troubles()); strings.Contains(said, "canary") || strings.Contains(said, "y2019") {
			t.Errorf("not for anybody: %s", said)
		}
		limitTo(c.stream, -1)
		must(t, <-told)
		until(t, "the trouble is over", func() bool { return len(w.Troubles()) == 0 })
	}
}

// TestAFeederThatMayNotReadSaysSo: a question that nobody answers is asked again and
// again.
func TestAFeederThatMayNotReadSaysSo(t *testing.T) {
	t.Parallel()
	_, poor, reload := divided(t)
	runs, err := poor.Runs(t.Context())
	must(t, err)
	reload("$JS.API.STREAM.MSG.GET.>", "$JS.API.DIRECT.GET.>")
	until(t, "the connection stands", poor.Connected)
	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	told := make(chan error, 3)
	go func() {
		_, err := poor.RunLedger().Records(ctx, []schemas.JobKey{{Destination: "d", ID: "a"}}, false)
		told <- err
	}()
	go func() {
		_, err := poor.RunLedger().Records(ctx, []schemas.JobKey{{Destination: "d", ID: "b"}}, true)
		told <- err
	}()
	go func() { _, _, err := runs.Read(ctx, backfill.RunPrefix+"y2019"); told <- err }()
	until(t, "the trouble is known", func() bool {
		said := fmt.Sprint(poor.Troubles())
		return strings.Contains(said, readingLedger) && strings.Contains(said, readingRuns)
	})
	until(t, "each of the three is known", func() bool {
		poor.troubles.mu.Lock()
		defer poor.troubles.mu.Unlock()
		asked := map[string]int{}
		for one := range poor.troubles.tries {
			asked[one.what]++
		}
		return asked[readingLedger] == 2 && asked[readingRuns] == 1
	})
	reload()
	for range 3 {
		must(t, <-told)
	}
}
