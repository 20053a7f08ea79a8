package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger/archive"
	"github.com/chartpost/chartpost/schemas"
)

var errCrash = errors.New("the compactor ended")

// mortal ends a compactor after some requests: of the last one the answer does
// not arrive, and a removal is done in part.
type mortal struct {
	archive.Store
	archive.Bucket
	left atomic.Int64
	// last is called with the last request, if it is not nil.
	last func()
}

func (m *mortal) step(do func() error) error {
	switch left := m.left.Add(-1); {
	case left < 0:
		return errCrash
	case left == 0:
		if m.last != nil {
			m.last()
			return errCrash
		}
		return errors.Join(do(), errCrash)
	}
	return do()
}

func (m *mortal) Newest(ctx context.Context, subject string) (found archive.Message, ok bool, err error) {
	err = m.step(func() (err error) { found, ok, err = m.Store.Newest(ctx, subject); return err })
	return found, ok, err
}

func (m *mortal) Put(ctx context.Context, subject string, data []byte, after uint64) error {
	return m.step(func() error { return m.Store.Put(ctx, subject, data, after) })
}

func (m *mortal) At(ctx context.Context, revision uint64) (r archive.Record, ok bool, err error) {
	err = m.step(func() (err error) { r, ok, err = m.Bucket.At(ctx, revision); return err })
	return r, ok, err
}

func (m *mortal) Remove(ctx context.Context, born time.Time, revisions []uint64) error {
	if m.left.Load() == 1 {
		revisions = revisions[:len(revisions)/2]
	}
	return m.step(func() error { return m.Bucket.Remove(ctx, born, revisions) })
}

// mortal gives a compactor that ends after some requests.
func (w *archiveWorld) mortal(requests int64, last func()) *archive.Archive {
	store, bucket := w.queue.ArchivePorts()
	m := &mortal{Store: store, Bucket: bucket, last: last}
	m.left.Store(requests)
	return archive.New(m, m, archive.Settings{Prefix: "chartpost.ended", Ripe: Accepted})
}

// schedule is a random course of things, and what must be known of each job.
type schedule struct {
	*archiveWorld
	random *rand.Rand
	known  map[string]job.Record
	open   []*page
	ids    []string
}

// TestRandomSchedules: whatever happens to compactors, every job is known as it
// was left, and no other.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := &schedule{archiveWorld: newSmallArchiveWorld(t), random: rand.New(rand.NewPCG(seed, 1)), known: map[string]job.Record{}}
			for range 80 {
				s.step()
			}
			s.finish()
		})
	}
}

func (s *schedule) step() {
	switch s.random.IntN(10) {
	case 0, 1, 2:
		s.create()
	case 3, 4, 5:
		s.end()
	case 6:
		s.repeat()
	case 7:
		s.compact(time.Duration(s.random.IntN(90)) * time.Minute)
	case 8:
		s.crash()
	case 9:
		s.crowd()
	}
}

func (s *schedule) create() {
	for range 1 + s.random.IntN(20) {
		id := fmt.Sprintf("ward.job-%d", len(s.ids))
		p := open(s.t, s.Ledger, id, fresh("w"), true)
		s.ids, s.open, s.known[id] = append(s.ids, id), append(s.open, p), p.Record()
	}
}

func (s *schedule) end() {
	for range 1 + s.random.IntN(10) {
		if len(s.open) == 0 {
			return
		}
		i := s.random.IntN(len(s.open))
		p := s.open[i]
		s.open = append(s.open[:i], s.open[i+1:]...)
		phases := []job.Phase{job.Accepted, job.Accepted, job.Accepted, job.Failed, job.Held, job.Cancelled}
		save(s.t, p, phases[s.random.IntN(len(phases))])
		s.known[strings.TrimPrefix(p.key, keyOf("").Tokens())] = p.Record()
	}
}

// repeat opens known jobs again. A worker that stood still may have made a record
// of one that had left the bucket.
func (s *schedule) repeat() {
	for range 10 {
		if len(s.ids) == 0 {
			return
		}
		id := s.ids[s.random.IntN(len(s.ids))]
		if s.random.IntN(2) == 0 && s.known[id].Phase == job.Accepted {
			blind := &Ledger{bucket: s.bucket, patience: limit}
			if _, _, err := blind.Open(s.t.Context(), keyOf(id), fresh("late")); err != nil {
				s.t.Fatal(err)
			}
		}
		s.check(open(s.t, s.Ledger, id, fresh("x"), false).Record(), id)
	}
}

func (s *schedule) check(got job.Record, id string) {
	if want := s.known[id]; !reflect.DeepEqual(got, want) {
		s.t.Errorf("%s is known as %+v, want %+v", id, got, want)
	}
}

// crash makes a pass that ends in the middle.
func (s *schedule) crash() {
	s.now = s.now.Add(time.Duration(s.random.IntN(90)) * time.Minute)
	_, err := s.mortal(1+s.random.Int64N(40), nil).Compact(s.t.Context(), s.now)
	if err != nil && !errors.Is(err, errCrash) {
		s.t.Error(err)
	}
}

// crowd makes two passes at once, while jobs are opened and looked up.
func (s *schedule) crowd() {
	s.now = s.now.Add(time.Duration(s.random.IntN(90)) * time.Minute)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if _, err := s.compactor.Compact(s.t.Context(), s.now); err != nil {
				s.t.Error(err)
			}
		})
	}
	for range 20 {
		if len(s.ids) == 0 {
			break
		}
		id := s.ids[s.random.IntN(len(s.ids))]
		s.check(open(s.t, s.Ledger, id, fresh("x"), false).Record(), id)
		found, ok, err := s.Find(s.t.Context(), keyOf(id))
		if err != nil || !ok {
			s.t.Errorf("%s is not found, %v", id, err)
		}
		s.check(found, id)
	}
	all.Wait()
}

// finish lets compactors end their work and looks at every job.
func (s *schedule) finish() {
	s.t.Helper()
	s.compact(2 * time.Hour)
	s.compact(2 * time.Hour)
	accepted := 0
	for id, want := range s.known {
		if want.Phase == job.Accepted {
			accepted++
		}
		found, ok, err := s.Find(s.t.Context(), keyOf(id))
		if err != nil || !ok {
			s.t.Errorf("%s is not found, %v", id, err)
		}
		s.check(found, id)
		if _, ok, err := s.Find(s.t.Context(), keyOf(id+"-other")); ok || err != nil {
			s.t.Errorf("another than %s is found, %v", id, err)
		}
	}
	if left, want := s.size("KV_CHARTPOST_LEDGER"), len(s.known)-accepted; left != uint64(want) {
		s.t.Errorf("%d records are left in the bucket, want %d", left, want)
	}
	keys := make([]schemas.JobKey, len(s.ids))
	for i, id := range s.ids {
		keys[i] = keyOf(id)
	}
	records, err := s.queue.RunLedger().Records(s.t.Context(), keys, true)
	if err != nil || len(records) != len(s.ids) {
		s.t.Errorf("a backfill finds %d of %d jobs, %v", len(records), len(s.ids), err)
	}
	for id, value := range records {
		record, err := decode(value)
		if err != nil {
			s.t.Fatal(err)
		}
		s.check(record, id.ID)
	}
}
