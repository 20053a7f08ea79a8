package outcome

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

var (
	noon  = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	times = Times{}.complete()
)

func job(logs ...string) *Job {
	j := &Job{Ref: Ref{Class: schemas.Live, Destination: "lab", ID: "job-1", Attempt: 1, Sequence: 7}, AcceptedAt: noon}
	for _, id := range logs {
		j.Logs = append(j.Logs, Seen{ID: id})
	}
	return j
}

func logOf(id string, status platform.Status, attempts int) platform.Log {
	return platform.Log{ID: id, Status: status, Attempts: attempts, AttemptAt: noon.Add(time.Duration(attempts) * time.Second)}
}

func TestWhatALogMeans(t *testing.T) {
	for _, c := range []struct {
		name  string
		logs  []platform.Log
		after time.Duration
		want  schemas.Status
	}{
		{"nothing seen", nil, time.Hour, ""},
		{"succeeded", []platform.Log{logOf("a", platform.Succeeded, 1), logOf("b", platform.Succeeded, 3)}, time.Second, schemas.StatusDelivered},
		{"one of two succeeded", []platform.Log{logOf("a", platform.Succeeded, 1)}, time.Hour, ""},
		{"one of two failed", []platform.Log{logOf("a", platform.Succeeded, 1), logOf("b", platform.Failed, 1)}, time.Second, schemas.StatusUndelivered},
		{"filtered", []platform.Log{logOf("a", platform.Filtered, 1), logOf("b", platform.Succeeded, 1)}, time.Second, schemas.StatusFiltered},
		{"pending", []platform.Log{logOf("a", platform.Pending, 1), logOf("b", platform.Succeeded, 1)}, 14 * time.Minute, ""},
		{"pending for long", []platform.Log{logOf("a", platform.Pending, 1), logOf("b", platform.Succeeded, 1)}, 15 * time.Minute, schemas.StatusStalled},
		{"an unknown word", []platform.Log{logOf("a", platform.Unknown, 1), logOf("b", platform.Succeeded, 1)}, time.Hour, ""},
		{"an older view after a newer one", []platform.Log{logOf("a", platform.Succeeded, 2), logOf("b", platform.Succeeded, 2), logOf("a", platform.Failed, 1)}, time.Second, schemas.StatusDelivered},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := job("a", "b")
			for _, log := range c.logs {
				j.See(log, noon)
			}
			v, due := j.Judge(times, noon.Add(c.after))
			if v.Status != c.want || due != (c.want != "") {
				t.Errorf("judged %q, want %q", v.Status, c.want)
			}
			if due && (v.Evidence == nil || v.Evidence.LogID == "") {
				t.Errorf("%s has no evidence", v.Status)
			}
		})
	}
}

// A failed message may be retried by hand for a week; nothing is told twice.
func TestAFailureMayBeFollowedByADelivery(t *testing.T) {
	j := job("a")
	j.See(logOf("a", platform.Failed, 1), noon)
	v, due := j.Judge(times, noon)
	if !due || v.Status != schemas.StatusUndelivered {
		t.Fatalf("judged %q", v.Status)
	}
	j.tell(v.Status, noon)
	if _, again := j.Judge(times, noon); again || j.Done(times, noon.Add(times.Reopen-1)) || j.Waits() {
		t.Error("it is told again, or not followed further")
	}
	if !j.Done(times, noon.Add(times.Reopen)) {
		t.Error("it is followed for ever")
	}
	j.See(logOf("a", platform.Succeeded, 2), noon)
	v, due = j.Judge(times, noon.Add(24*time.Hour))
	if !due || v.Status != schemas.StatusDelivered || v.Evidence.Attempts != 2 {
		t.Fatalf("judged %+v", v)
	}
	j.tell(v.Status, noon)
	j.See(logOf("a", platform.Failed, 3), noon)
	if _, again := j.Judge(times, noon); again || !j.Done(times, noon) {
		t.Error("something is told after the delivery")
	}
}

// Only looks that Redox answered make a message unconfirmed.
func TestUnconfirmedNeedsAnAnswer(t *testing.T) {
	j := job("a")
	late := noon.Add(times.Unconfirmed)
	if _, due := j.Judge(times, late.Add(time.Hour)); due {
		t.Error("it is told of without any look")
	}
	now := j.lookDue(times)
	if now != noon.Add(times.Look) {
		t.Errorf("the first look is at %s", now)
	}
	looks := 0
	for ; now.Before(late); now = j.lookDue(times) {
		j.looked(times, false, now)
		looks++
		if _, due := j.Judge(times, now); due {
			t.Fatalf("it is told of after %s", now.Sub(noon))
		}
	}
	if looks > 25 || now != late {
		t.Errorf("%d looks; the last one is at %s", looks, now.Sub(noon))
	}
	j.looked(times, false, now)
	v, due := j.Judge(times, now)
	if !due || v.Status != schemas.StatusUnconfirmed || v.Reason == nil || v.Reason.Code != CodeNoEvidence {
		t.Errorf("judged %+v", v)
	}
}

func TestASweepGoesOnInSlices(t *testing.T) {
	m := Mark{Until: noon, Swept: noon}
	if _, due := m.next(time.Minute, times, noon.Add(59*time.Second)); due {
		t.Error("it is due too soon")
	}
	p, due := m.next(time.Minute, times, noon.Add(time.Minute))
	if !due || p.From != noon.Add(-times.Overlap) || p.Until != noon.Add(time.Minute) {
		t.Errorf("the plan is %+v", p)
	}
	// One that lags covers everything, slice by slice, each with its overlap.
	now, covered := noon.Add(time.Hour), noon
	for range 100 {
		p, due := m.next(time.Minute, times, now)
		if !due {
			break
		}
		if p.From.After(covered.Add(-times.Overlap)) || p.Until.Sub(covered) > times.Slice {
			t.Fatalf("%+v leaves a gap after %s", p, covered)
		}
		covered, m = p.Until, Mark{p.Until, now}
	}
	if covered != now {
		t.Errorf("it came to %s", covered)
	}
	if queries := p.queries("", platform.Failed, platform.Filtered); len(queries) != 4 || queries[1].Mode != platform.Backfill {
		t.Errorf("the searches are %+v", queries)
	}
}
