package deadletter

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Filter selects dead letters; what is empty selects all.
type Filter struct {
	Destination string
	Class       schemas.Class
	// Code and Kind are those of the reason.
	Code, Kind string
	Status     schemas.Status
	// From and Before bound when the letter was written.
	From, Before time.Time
}

// Wants reports whether a letter is selected.
func (f Filter) Wants(l natsq.Letter) bool {
	for _, one := range []struct{ want, is string }{
		{f.Destination, l.Lane.Destination}, {string(f.Class), string(l.Lane.Class)}, {f.Code, l.Reason.Code},
		{f.Kind, l.Reason.Kind}, {string(f.Status), string(l.Status)},
	} {
		if one.want != "" && one.want != one.is {
			return false
		}
	}
	return !l.Buried.Before(f.From) && (f.Before.IsZero() || l.Buried.Before(f.Before))
}

// Group counts the letters that have a code and a destination in common.
type Group struct {
	Code        string    `json:"code"`
	Destination string    `json:"destination"`
	Count       int       `json:"count"`
	Oldest      time.Time `json:"oldest"`
	Newest      time.Time `json:"newest"`
}

// Listing puts letters, which come in the order of their sequences, into groups, and
// keeps the newest.
type Listing struct {
	// Keep is how many letters are kept; 0 is all. Before keeps only those with a
	// smaller sequence; 0 is no bound.
	Keep   int
	Before uint64

	// Count is how many letters came, and Older how many were not kept, though Before
	// allowed them.
	Count, Older int

	groups map[[2]string]*Group
	kept   []natsq.Letter
}

// Add takes in a letter.
func (a *Listing) Add(l natsq.Letter) {
	a.Count++
	if a.groups == nil {
		a.groups = map[[2]string]*Group{}
	}
	key := [2]string{l.Reason.Code, l.Lane.Destination}
	g := a.groups[key]
	if g == nil {
		g = &Group{Code: l.Reason.Code, Destination: l.Lane.Destination, Oldest: l.Buried}
		a.groups[key] = g
	}
	g.Count++
	g.Newest = l.Buried
	if a.Before > 0 && l.Sequence >= a.Before {
		return
	}
	a.kept = append(a.kept, l)
	if a.Keep > 0 && len(a.kept) >= 2*a.Keep {
		a.trim()
	}
}

func (a *Listing) trim() {
	if more := len(a.kept) - a.Keep; a.Keep > 0 && more > 0 {
		a.Older += more
		a.kept = slices.Delete(a.kept, 0, more)
	}
}

// Groups are all groups, the largest first.
func (a *Listing) Groups() []Group {
	out := make([]Group, 0, len(a.groups))
	for _, g := range a.groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(x, y Group) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Code, y.Code), cmp.Compare(x.Destination, y.Destination))
	})
	return out
}

// Letters are those that were kept, the newest first.
func (a *Listing) Letters() []natsq.Letter {
	a.trim()
	out := slices.Clone(a.kept)
	slices.Reverse(out)
	return out
}

// Finder looks for the record of a job.
type Finder interface {
	Find(ctx context.Context, job schemas.JobKey) (record job.Record, ok bool, err error)
}

// lookups is how many records are asked for at once.
const lookups = 64

// AcceptedSince asks the ledger of each letter whether its job was accepted since. The
// answers have the order of the letters. The letter of a job under an id that was taken
// never counts: what was accepted is the other job.
func AcceptedSince(ctx context.Context, ledger Finder, letters []natsq.Letter) ([]bool, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]bool, len(letters))
	next := make(chan int)
	var working sync.WaitGroup
	for range min(lookups, len(letters)) {
		working.Go(func() {
			for i := range next {
				record, known, err := ledger.Find(ctx, letters[i].Job())
				if err != nil {
					cancel(err)
					return
				}
				out[i] = known && record.Phase == job.Accepted
			}
		})
	}
	for i, l := range letters {
		if l.JobID == "" || l.Status == schemas.StatusDuplicate {
			continue
		}
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	working.Wait()
	return out, context.Cause(ctx)
}
