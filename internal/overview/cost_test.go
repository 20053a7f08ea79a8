package overview

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// every is the time from one look of top to the next, unless it is told otherwise.
const every = 5 * time.Second

// TestWhatALookCosts: with 100 lanes, 1,000 dead letters, 500 ends of jobs and three workers
// a look every 5 s takes less than 1 % of a core of nats-server.
func TestWhatALookCosts(t *testing.T) {
	server := devtest.NATSProcess(t, devstack.NATSOptions{LazySync: true})
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/stat", server.PID())); err != nil {
		t.Skip("the time that a process used is read from /proc")
	}
	queue, err := natsq.Connect(natsq.Config{URL: server.URL(), Prefix: "chartpost", Name: t.Name()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	if _, err := queue.Setup(t.Context(), natsq.Layout{Replicas: 1, Duplicates: 2 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	fill(t, server.URL())
	for i := range 3 {
		if err := queue.Announce(t.Context(), diagnosis.Worker{Name: fmt.Sprint("w", i)}); err != nil {
			t.Fatal(err)
		}
	}
	v := &Viewer{Queue: queue}
	o, err := v.Look(t.Context(), time.Now())
	if err != nil || len(o.Workers) != 3 || len(o.Lanes) != 100 || o.DeadLetters != 1000 || len(o.Dead) != 100 || o.Lanes[0].PerMinute != 5 || o.Lanes[0].OldestSeconds < 0 {
		t.Fatalf("%d workers, %d lanes, %d letters in %d groups, %+v, %v", len(o.Workers), len(o.Lanes), o.DeadLetters, len(o.Dead), o.Lanes[:min(len(o.Lanes), 1)], err)
	}
	const looks = 50
	before := used(t, server.PID())
	for range looks {
		if _, err := v.Look(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	look := (used(t, server.PID()) - before) / looks
	t.Logf("a look takes %s of a core, %.2f %% where there is one every %s", look, 100*look.Seconds()/every.Seconds(), every)
	if look > every/100 {
		t.Errorf("a look takes %s of a core", look)
	}
}

// fill puts jobs, dead letters and events into the streams.
func fill(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		lane := schemas.Lane{Class: schemas.Live, Destination: fmt.Sprint("clinic-", i%100)}
		letter := nats.NewMsg(schemas.DeadSubject("chartpost", lane))
		letter.Header.Set(natsq.HeaderReasonCode, fmt.Sprint("code_", i%10))
		letter.Header.Set(natsq.HeaderJobID, fmt.Sprint("job-", i))
		msgs := []*nats.Msg{letter, {Subject: schemas.JobSubject("chartpost", lane), Data: []byte("{}")}}
		if i < 500 {
			msgs = append(msgs, &nats.Msg{Subject: schemas.EventSubject("chartpost", lane, schemas.StatusAccepted), Data: []byte("{}")})
		}
		for _, msg := range msgs {
			if _, err := js.PublishMsg(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// used is how much time of a core a process has used. proc(5): the fields utime and stime
// of /proc/PID/stat are in hundredths of a second.
func used(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
