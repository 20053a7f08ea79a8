package joblist_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/joblist"
	"github.com/chartpost/chartpost/schemas"
)

var million = flag.Int("million", 0, "how many events TestMillion makes; 0 leaves it out")

// TestMillion measures the index: go test ./internal/joblist -run TestMillion -million 1000000 -v
func TestMillion(t *testing.T) {
	if *million == 0 {
		t.Skip("needs -million 1000000")
	}
	process := devtest.NATSProcess(t, devstack.NATSOptions{LazySync: true})
	w := join(t, process.URL(), layout)
	began := time.Now()
	w.make(*million)
	t.Logf("%d events in %d bytes, published in %s", *million, w.size(eventsStream), time.Since(began).Round(time.Second))

	before, cpu, began := resident(t, process.PID()), spent(), time.Now()
	p := w.build()
	t.Logf("built in %s: %d segments, %d bytes, %.1f bytes an event; cpu of the builder %s; memory of the server %d MB before, %d MB after",
		time.Since(began).Round(time.Millisecond), p.Segments, p.Bytes, float64(p.Bytes)/float64(p.Events), (spent() - cpu).Round(time.Millisecond), before>>20, resident(t, process.PID())>>20)
	t.Logf("the index takes %d bytes on the disk", w.size(indexStream))
	began = time.Now()
	again := w.build()
	t.Logf("a pass that finds nothing to do: %s, %d segments", time.Since(began).Round(time.Millisecond), again.Segments)

	const most = time.Second
	for _, one := range []struct {
		name string
		q    joblist.Query
		jobs int
	}{
		{"the newest 50", joblist.Query{}, 50},
		{"the first job's correlation", order("job-0"), 1},
		{"a job's in the middle", order("job-" + strconv.Itoa(*million/4)), 1},
		{"a correlation that no job has", order("none"), 0},
		{"50 failed jobs", joblist.Query{States: []joblist.State{joblist.Failed}}, 50},
		{"a reason that no job has", joblist.Query{Code: "none"}, 0},
		{"a destination that has no job", joblist.Query{Destination: "none"}, 0},
	} {
		for range 2 {
			began := time.Now()
			page := w.list(one.q)
			took := time.Since(began)
			t.Logf("%-32s %8s: %d jobs, %d bytes of the index, %d unindexed and %d other events read", one.name, took.Round(time.Millisecond),
				len(page.Jobs), page.Cost.Index.Bytes, page.Cost.Index.Unindexed, page.Cost.Events)
			if len(page.Jobs) != one.jobs || took > most {
				t.Errorf("%s: %d jobs in %s, want %d in %s", one.name, len(page.Jobs), took, one.jobs, most)
			}
		}
	}
}

// make publishes the events of jobs: two each, and one in a thousand fails.
func (w *world) make(n int) {
	w.t.Helper()
	for i := range n {
		id := "job-" + strconv.Itoa(i/2)
		status := schemas.StatusUploaded
		if i%2 == 1 {
			if status = schemas.StatusAccepted; i/2%1000 == 0 {
				status = schemas.StatusFailed
			}
		}
		d := w.event(id, status, with("order", id), to("d"+strconv.Itoa(i/2%100), schemas.Live))
		e := schemas.NewEvent(prefix, d, time.Now())
		data, err := e.Encode()
		must(w.t, err)
		_, err = w.js.PublishMsgAsync(natsMsg(schemas.EventSubject(prefix, e.Lane(), status), map[string][]string{jetstream.MsgIDHeader: {e.ID}}, data), jetstream.WithStallWait(limit))
		must(w.t, err)
	}
	<-w.js.PublishAsyncComplete()
	clear(w.seen)
}

func (w *world) size(stream string) uint64 {
	w.t.Helper()
	return w.stream(stream).CachedInfo().State.Bytes
}

// spent is the processor time of this process.
func spent() time.Duration {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, 100 ticks a second
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// resident is a process's memory in bytes; 0 where the system does not say.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	must(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	must(t, err)
	return pages * int64(os.Getpagesize())
}
