package natsq

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/diagnosis"
)

// TestFleet: a worker is there from its announcement to its withdrawal, or until its
// record ends by itself.
func TestFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alive := func() (names string) {
		t.Helper()
		fleet, err := w.Fleet(t.Context())
		must(t, err)
		for _, one := range fleet.Workers {
			names += one.Name + fmt.Sprint(one.InHand) + " "
		}
		return names
	}
	if got := alive(); got != "" {
		t.Errorf("at first: %s", got)
	}
	must(t, w.Announce(t.Context(), diagnosis.Worker{Name: "a.b *", InHand: 1}))
	must(t, w.Announce(t.Context(), diagnosis.Worker{Name: "two", InHand: 2}))
	must(t, w.Announce(t.Context(), diagnosis.Worker{Name: "a.b *", InHand: 3}))
	if got := alive(); got != "two2 a.b *3 " {
		t.Errorf("both: %s", got)
	}
	must(t, w.Withdraw(t.Context(), "two"))
	if got := alive(); got != "a.b *3 " {
		t.Errorf("one withdrew: %s", got)
	}
	must(t, w.present(t.Context(), "a.b *", []byte(`{"version":1,"name":"a.b *"}`), time.Second, ""))
	devtest.Until(t, "the records end by themselves", time.Minute, func() bool { return alive() == "" })
}

// TestWhyAWorkerCannotAnnounceItself: a bucket of an earlier setup, and a permission that
// is missing, are named at once.
func TestWhyAWorkerCannotAnnounceItself(t *testing.T) {
	t.Parallel()
	one := diagnosis.Worker{Name: "one"}
	w := newWorld(t)
	name := bucketStream(w.stream(control))
	must(t, w.js.DeleteStream(t.Context(), name))
	old := bucketConfig(w.stream(control), "as it was", 0, 1)
	_, err := w.js.CreateStream(t.Context(), old)
	must(t, err)
	if err := w.Announce(t.Context(), one); !errors.Is(err, ErrNoFleet) {
		t.Errorf("without TTLs: %v", err)
	}
	_, poor, reload := divided(t)
	subject := "$KV.CHARTPOST_CONTROL.worker.one"
	reload(subject)
	if denied, ok := errors.AsType[*Denied](poor.Announce(t.Context(), one)); !ok || !strings.Contains(denied.Error(), subject) {
		t.Errorf("without the permission: %v", denied)
	}
	reload(subject, "$JS.API.STREAM.INFO.CHARTPOST_INDEX")
	if _, err := poor.Index().Build(t.Context(), func() bool { return true }); err == nil {
		t.Error("the index is read without the permission")
	}
	if troubles := poor.Troubles(); len(troubles) > 0 {
		t.Errorf("a worker of an earlier version's role is not ready, although it delivers: %v", troubles)
	}
}

// BenchmarkAnnounce says how much of a core one announcement costs, that of the client
// included.
func BenchmarkAnnounce(b *testing.B) {
	w, err := Connect(Config{URL: devtest.NATS(b, devstack.NATSOptions{LazySync: true}).URL(), Name: "bench", Prefix: "chartpost"}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Setup(b.Context(), testLayout); err != nil {
		b.Fatal(err)
	}
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	b.ResetTimer()
	for i := range b.N {
		if err := w.Announce(b.Context(), diagnosis.Worker{Name: fmt.Sprint("worker-", i%1000), Slots: 16, InHand: 3}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((used()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}
