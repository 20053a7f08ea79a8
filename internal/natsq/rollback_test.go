package natsq

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// rolledBack is the files of a server's stream, which can be brought back as they
// were: what was removed since is there again, as it may be after a kill, while
// the consumers know of the acknowledgements.
type rolledBack struct {
	server *devstack.ServerProcess
	files  string
	before string
}

// forgetful starts a server whose changes of a stream can be taken back.
func forgetful(t *testing.T, stream string) (*devstack.ServerProcess, *rolledBack) {
	t.Helper()
	dir := t.TempDir()
	server := devtest.NATSProcess(t, devstack.NATSOptions{Dir: dir})
	files := filepath.Join(dir, "jetstream", "$G", "streams", stream, "msgs")
	return server, &rolledBack{server: server, files: files, before: filepath.Join(t.TempDir(), "before")}
}

func (f *rolledBack) keep(w *world) {
	f.down(w, func(messages string) error { return os.CopyFS(f.before, os.DirFS(messages)) })
}

func (f *rolledBack) bringBack(w *world) {
	f.down(w, func(messages string) error {
		return errors.Join(os.RemoveAll(messages), os.CopyFS(messages, os.DirFS(f.before)))
	})
}

// down does something to the stream's files while the server is down.
func (f *rolledBack) down(w *world, do func(messages string) error) {
	w.t.Helper()
	must(w.t, f.server.Stop())
	must(w.t, do(f.files))
	must(w.t, f.server.Restart(w.t.Context()))
	until(w.t, "the connection is back", w.Connected)
}

// TestAKilledServersForgottenJobs: what a server forgot to remove comes again, with all
// that a schedule gave it, although the lane is busy with another job.
func TestAKilledServersForgottenJobs(t *testing.T) {
	t.Parallel()
	server, files := forgetful(t, "CHARTPOST_JOBS")
	w := joinWorld(t, server.URL())
	w.publish(lane1, 2)
	must(t, w.Outbox().Later(t.Context(), worker.Schedule{Lane: lane1, JobID: "later", Data: []byte("later"), Attempt: 7, At: time.Now()}))
	subject := schemas.JobSubject(w.prefix, lane1)
	until(t, "the schedule fires", func() bool { return w.stored(jobs, subject) == 3 })
	files.keep(w)
	p := calm
	p.sweepLost = 500 * time.Millisecond
	in := w.take(patient, 16, p)
	look(t, in)
	askFor(t, in, lane1, 3, limit)
	taken := []worker.Delivery{job(t, in), job(t, in), job(t, in)}
	next(t, in)
	for _, d := range taken {
		ack(t, d)
	}
	files.bringBack(w)
	if n := w.stored(jobs, subject); n != 3 {
		t.Fatalf("%d jobs are back, want 3", n)
	}
	came := map[uint64]worker.Delivery{}
	until(t, "they come again", func() bool {
		if _, err := in.Ask(lane1, 3, 200*time.Millisecond); err != nil {
			return false
		}
		for a := next(t, in); !a.Done; a = next(t, in) {
			came[a.Delivery.Sequence()] = a.Delivery
			ack(t, a.Delivery)
		}
		return len(came) == 3
	})
	for _, was := range taken {
		d := came[was.Sequence()]
		if d == nil || !d.Stored().Equal(was.Stored()) || string(d.Data()) != string(was.Data()) {
			t.Errorf("copy %d: %+v", was.Sequence(), d)
			continue
		}
		if key := schemas.KeyOf(lane1, "later"); d.Attempt(key) != was.Attempt(key) {
			t.Errorf("attempt %d of what a schedule brought, want %d", d.Attempt(key), was.Attempt(key))
		}
	}
	if n := w.stored(jobs, subject); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}
