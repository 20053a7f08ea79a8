package backfill

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

// TestKnown: what the ledger says of a line about to be published.
func TestKnown(t *testing.T) {
	for _, c := range []struct {
		phase       job.Phase
		own, others LineState
	}{
		{job.Working, Fed, Blocked},
		{job.Sending, Fed, Blocked},
		{job.Waiting, Fed, Blocked},
		{job.Accepted, LineAccepted, Duplicate},
		{job.Failed, LineFailed, Unfed},
		{job.Cancelled, LineCancelled, Unfed},
		{job.Held, LineUnknown, Doubtful},
		{"of another version", Fed, Blocked},
	} {
		record := &job.Record{Phase: c.phase, Digest: "d"}
		if own, other := known(record, "d"), known(record, "e"); own != c.own || other != c.others {
			t.Errorf("%s: %d and %d, want %d and %d", c.phase, own, other, c.own, c.others)
		}
	}
	if known(nil, "d") != Unfed || known(recordOf([]byte("no record")), "d") != Blocked {
		t.Error("no record, and one that cannot be read")
	}
}

// TestAfter: what an event makes of a line.
func TestAfter(t *testing.T) {
	reused := &schemas.Reason{Code: codeReused}
	for _, c := range []struct {
		was    LineState
		status schemas.Status
		reason *schemas.Reason
		want   LineState
		ok     bool
	}{
		{Fed, schemas.StatusAccepted, nil, LineAccepted, true},
		{Unfed, schemas.StatusAccepted, nil, LineAccepted, true},
		{Fed, schemas.StatusFailed, nil, LineFailed, true},
		{Fed, schemas.StatusUnknown, nil, LineUnknown, true},
		{Fed, schemas.StatusCancelled, nil, LineCancelled, true},
		{Fed, schemas.StatusUploaded, nil, Fed, false},
		{Fed, schemas.StatusRetrying, nil, Fed, false},
		{LineUnknown, schemas.StatusAccepted, nil, LineAccepted, true},
		{Fed, schemas.StatusDuplicate, nil, Fed, false},
		{Fed, schemas.StatusDuplicate, &schemas.Reason{Code: "in_progress"}, Fed, false},
		{Fed, schemas.StatusDuplicate, reused, Blocked, true},
		{LineAccepted, schemas.StatusDuplicate, reused, LineAccepted, false},
		{Refused, schemas.StatusAccepted, nil, Refused, false},
		{Absent, schemas.StatusAccepted, nil, Absent, false},
	} {
		got, ok := c.was.after(schemas.EventData{Status: c.status, Reason: c.reason})
		if got != c.want || ok != c.ok {
			t.Errorf("%d by %s: %d %v, want %d %v", c.was, c.status, got, ok, c.want, c.ok)
		}
	}
}

// TestOutcomes: every state has its outcome, and the sums are of all lines.
func TestOutcomes(t *testing.T) {
	run := Run{ID: "r", Lines: 9, LastLine: 11, State: Running}
	b := newBook(run)
	for i, s := range []LineState{Fed, LineAccepted, LineFailed, LineUnknown, LineCancelled, Duplicate, Refused, Doubtful, Absent} {
		b.mark(int64(i+1), s)
	}
	want := Counts{OutcomePending: 2, OutcomeAccepted: 1, OutcomeDuplicate: 1, OutcomeFailed: 2, OutcomeUnknown: 2, OutcomeCancelled: 1}
	got := b.Tally(run)
	if !maps.Equal(got.Counts, want) || got.Unfed != 1 || got.InFlight != 1 || got.Ended() != 7 || got.Good() {
		t.Errorf("%+v", got)
	}
	run.State = Cancelled
	if got := b.Tally(run).Counts; got[OutcomeCancelled] != 2 || got[OutcomePending] != 1 {
		t.Errorf("cancelled: %+v", got)
	}
}

// TestLabel: the labels are in the job, whatever its correlation is, and all else
// stays as it was.
func TestLabel(t *testing.T) {
	const rest = `"files":[{"bucket":"b","key":"k","title":"a \"correlation\" }"}]`
	for _, c := range []struct{ job, want string }{
		{`{"id":"a",` + rest + `}`, `{"id":"a",` + rest + `,"correlation":{"backfill_run":"r","backfill_line":"7"}}`},
		{`{"id":"a"} `, `{"id":"a","correlation":{"backfill_run":"r","backfill_line":"7"}}`},
		{`{"correlation":{},"id":"a"}`, `{"correlation":{"backfill_run":"r","backfill_line":"7"},"id":"a"}`},
		{`{"correlation":{ "t":"}" },"id":"a"}`, `{"correlation":{ "t":"}" ,"backfill_run":"r","backfill_line":"7"},"id":"a"}`},
		{`{"message":{"correlation":"x"},"id":"a"}`, `{"message":{"correlation":"x"},"id":"a","correlation":{"backfill_run":"r","backfill_line":"7"}}`},
		{`{"\u0063orrelation":{"t":"a"}}`, `{"\u0063orrelation":{"t":"a","backfill_run":"r","backfill_line":"7"}}`},
	} {
		var job schemas.Job
		if err := json.Unmarshal([]byte(c.job), &job); err != nil {
			t.Fatal(err)
		}
		got, err := label([]byte(c.job), job, "r", 7)
		if err != nil || string(got) != c.want {
			t.Errorf("%v\n got %s\nwant %s", err, got, c.want)
		}
		var labeled schemas.Job
		if err := json.Unmarshal(got, &labeled); err != nil {
			t.Fatal(err)
		}
		if line, ok := lineOf(&schemas.Event{Data: schemas.EventData{Correlation: labeled.Correlation}}, "r"); line != 7 || !ok {
			t.Errorf("%s: line %d", got, line)
		}
		if _, ok := lineOf(&schemas.Event{Data: schemas.EventData{Correlation: labeled.Correlation}}, "other"); ok {
			t.Error("the line of another run")
		}
	}
}

func TestRoom(t *testing.T) {
	full := map[string]string{}
	for i := range 15 {
		full[fmt.Sprint(i)] = "x"
	}
	for _, c := range []struct {
		correlation map[string]string
		size        int
		want        string
	}{
		{nil, 100, ""},
		{map[string]string{"t": strings.Repeat("x", 900)}, 100, ""},
		{map[string]string{"t": strings.Repeat("x", 940)}, 100, "no_room"},
		{full, 100, "no_room"},
		{map[string]string{LabelLine: "1"}, 100, "label_reserved"},
		{nil, schemas.MaxJobSize - 50, "no_room"},
	} {
		var got string
		for _, f := range room(schemas.Job{Correlation: c.correlation}, c.size) {
			got += f.Code
		}
		if got != c.want {
			t.Errorf("%d labels, %d bytes: %q, want %q", len(c.correlation), c.size, got, c.want)
		}
	}
}

// TestLanes: a full lane lets others pass, and only full lanes make all wait.
func TestLanes(t *testing.T) {
	l := newLanes()
	l.perLane = 2
	for line, to := range []string{"", "a", "a", "a", "b", "b", "a"} {
		if to != "" {
			l.add(int64(line), to)
		}
	}
	lines := make([]LineState, 7)
	lines[6] = Fed
	l.count(lines)
	want := func(line int64, want choice) {
		t.Helper()
		if got := l.choose(line, 4); got != want {
			t.Errorf("line %d: %d, want %d", line, got, want)
		}
	}
	want(0, skip)
	want(99, skip)
	want(1, take)  // a has two: lines 6 and 1
	want(2, later) // b has room
	want(4, take)
	want(5, take)
	want(2, wait) // all are full
	l.moved(1, Unfed, Fed)
	l.moved(1, Fed, LineAccepted)
	want(2, take)
	l.moved(6, Fed, LineFailed)
	want(3, take)
	for line := int64(2); line < 6; line++ {
		l.moved(line, Unfed, LineAccepted) // an event is faster than the answer to the publish
	}
	if l.all != 0 || l.open[1] != 0 || l.open[2] != 0 || l.unfed[1] != 0 || len(l.claimed) != 0 {
		t.Errorf("%+v", l)
	}
}

// TestLanesTotal: the sum of all lanes is bounded too, and what was claimed and
// not published can be claimed again.
func TestLanesTotal(t *testing.T) {
	l := newLanes()
	l.perLane = 10
	for line := range int64(5) {
		l.add(line+1, "a")
	}
	l.count(make([]LineState, 6))
	for line, want := range []choice{take, take, wait} {
		if got := l.choose(int64(line+1), 2); got != want {
			t.Errorf("line %d: %d", line+1, got)
		}
	}
	l.release(1)
	l.release(1)
	if l.all != 1 || l.unfed[1] != 4 || l.choose(3, 2) != take {
		t.Errorf("%+v", l)
	}
}

// TestReportSchema: a row has the columns that the schema has, and no others.
func TestReportSchema(t *testing.T) {
	text, err := schemas.Schema("report.v1")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]any
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	row := Row{Line: 1, JobID: "a", Reason: "r", Path: "p", Detail: Detail{
		Size: 1, SHA256: []string{"s"}, LogIDs: []string{"l"}, Location: "l", AcceptedAt: time.Unix(1, 0), EndedAt: time.Unix(1, 0),
	}, Delivery: schemas.StatusDelivered}
	data, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	var columns map[string]any
	if err := json.Unmarshal(data, &columns); err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(columns)), slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, want) {
		t.Errorf("a row has %q, the schema %q", got, want)
	}
}

// TestSurvey: a run's name needs room in each job, and a report is held to the
// manifest.
func TestSurvey(t *testing.T) {
	only := NewOnly()
	only.Add(2, "a")
	only.Add(3, "b")
	s := NewSurvey("r", only)
	if only.has(1) || !only.has(2) || only.Len() != 2 || !(*Only)(nil).has(1) || !(*Only)(nil).is(1, "x") {
		t.Error("what a report has")
	}
	if f := s.Check(manifest.Line{Number: 2, Job: schemas.Job{ID: "a"}}); len(f) > 0 {
		t.Errorf("%v", f)
	}
	if f := s.Check(manifest.Line{Number: 3, Job: schemas.Job{ID: "c"}}); len(f) != 1 || f[0].Code != CodeOtherJob {
		t.Errorf("%v", f)
	}
}

// TestForeignLines: an event, which anybody may publish, of a line that the run does
// not have says nothing.
func TestForeignLines(t *testing.T) {
	b := newBook(Run{ID: "r", LastLine: 5})
	for line, want := range map[string]int64{"5": 5, "6": 0, "99999999999": 0, "0": 0, "-1": 0, "x": 0, "": 0} {
		event := &schemas.Event{Data: schemas.EventData{Status: schemas.StatusAccepted, Correlation: map[string]string{LabelRun: "r", LabelLine: line}}}
		if got := b.tell(1, event); got != want {
			t.Errorf("line %q: %d, want %d", line, got, want)
		}
	}
}
