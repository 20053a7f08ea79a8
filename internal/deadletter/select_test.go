package deadletter

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

func lettersOf(n int) (all []natsq.Letter) {
	for i := 1; i <= n; i++ {
		all = append(all, natsq.Letter{
			Sequence: uint64(i), Buried: time.Unix(int64(i), 0), JobID: fmt.Sprint(i), Status: schemas.StatusFailed,
			Lane: schemas.Lane{Class: schemas.Live, Destination: "d"}, Reason: schemas.Reason{Code: []string{"a", "b", "a"}[i%3]},
		})
	}
	return all
}

// TestListing: groups count all, pages go from the newest to the oldest and miss none.
func TestListing(t *testing.T) {
	all := lettersOf(25)
	before, seen := uint64(0), 0
	for page := 0; ; page++ {
		l := &Listing{Keep: 10, Before: before}
		for _, one := range all {
			l.Add(one)
		}
		if got := fmt.Sprint(l.Groups()); got != fmt.Sprint([]Group{{"a", "d", 16, all[1].Buried, all[23].Buried}, {"b", "d", 9, all[0].Buried, all[24].Buried}}) {
			t.Fatalf("groups: %s", got)
		}
		kept := l.Letters()
		for _, one := range kept {
			if want := uint64(25 - seen); one.Sequence != want {
				t.Fatalf("page %d: letter %d, want %d", page, one.Sequence, want)
			}
			seen++
		}
		if l.Older != 25-seen {
			t.Fatalf("page %d: %d older ones, want %d", page, l.Older, 25-seen)
		}
		if l.Older == 0 {
			break
		}
		before = kept[len(kept)-1].Sequence
	}
	if seen != 25 {
		t.Errorf("%d of 25 were listed", seen)
	}
}

// records are those of jobs by their ids.
type records map[string]job.Phase

func (r records) Find(_ context.Context, key schemas.JobKey) (job.Record, bool, error) {
	phase, known := r[key.ID]
	return job.Record{Phase: phase}, known, nil
}

// TestAcceptedSince: the letter of a job under an id that was taken never counts, since
// it is the only copy of its job.
func TestAcceptedSince(t *testing.T) {
	all := lettersOf(5)
	all[3].Status = schemas.StatusDuplicate
	all[4].JobID = ""
	got, err := AcceptedSince(t.Context(), records{"1": job.Accepted, "2": job.Failed, "4": job.Accepted, "": job.Accepted}, all)
	if err != nil || fmt.Sprint(got) != "[true false false false false]" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFilter(t *testing.T) {
	l := lettersOf(1)[0]
	for name, c := range map[string]struct {
		filter Filter
		want   bool
	}{
		"none": {Filter{}, true}, "code": {Filter{Code: "b"}, true}, "another code": {Filter{Code: "a"}, false},
		"class": {Filter{Class: schemas.Backfill}, false}, "from then on": {Filter{From: l.Buried}, true}, "before then": {Filter{Before: l.Buried}, false},
		"all of it": {Filter{Destination: "d", Class: schemas.Live, Code: "b", Status: schemas.StatusFailed, Before: l.Buried.Add(1)}, true},
	} {
		if got := c.filter.Wants(l); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
