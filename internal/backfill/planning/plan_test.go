package planning_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

const template = `
id: "{{ .id }}"
operation: documentreference-create
destination: {slug: "{{ .to }}", environment: Development}
transfer: '{{ .transfer | default "auto" }}'
files: [{bucket: archive, key: "{{ .key }}"}, {bucket: archive, key: "{{ .second | omitparent }}"}]
message: {patient: {resourceType: Patient}, resource: {resourceType: DocumentReference}}
expires_at: "{{ .expires | omitempty }}"
`

const header = "id,to,transfer,key,second,size,expires\n"

var start = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// plan makes a plan of lines below the header.
func plan(t *testing.T, from io.Reader, adjust func(*planning.Options)) (*planning.Plan, error) {
	t.Helper()
	parsed, err := manifest.ParseTemplate([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	r, err := manifest.NewReader(io.MultiReader(strings.NewReader(header), from), manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := manifest.NewRecipe(parsed, r, manifest.Run{StartedAt: start, ExpiresAfter: time.Hour, SizeColumn: "size"})
	if err != nil {
		t.Fatal(err)
	}
	o := planning.Options{
		Goroutines: 3, Start: start, EmbedLimit: 200, FileLimit: 1000, Budget: planning.Budget{Requests: 10, Window: time.Minute}, Faults: 20,
		Dir: t.TempDir(), Salt: []byte("salt"), Progress: &planning.Progress{},
	}
	if adjust != nil {
		adjust(&o)
	}
	return planning.Make(t.Context(), r, recipe, o)
}

func mustPlan(t *testing.T, lines string, adjust func(*planning.Options)) *planning.Plan {
	t.Helper()
	p, err := plan(t, strings.NewReader(lines), adjust)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCost holds the estimate to what a worker does: one request for a message
// with its files, one more for each uploaded file.
func TestCost(t *testing.T) {
	for _, c := range []struct {
		line string
		want int64
	}{
		{"a,x,,k,,,", 2}, {"a,x,,k,,200,", 1}, {"a,x,,k,,201,", 2}, {"a,x,,k,l,,", 3}, {"a,x,,k,l,200,", 1},
		{"a,x,upload,k,,1,", 2}, {"a,x,upload,k,l,1,", 3}, {"a,x,embed,k,l,999,", 1}, {"a,x,embed,k,,,", 1},
	} {
		if got := mustPlan(t, c.line, nil).Cost.Requests; got != c.want {
			t.Errorf("%s: %d requests, want %d", c.line, got, c.want)
		}
	}
	p := mustPlan(t, "a,x,,k,,,\nb,x,,k,,100,\nc,y,,k,,,\n", nil)
	if p.Cost.Seconds != 30 || p.Cost.LaneSeconds != 0 || p.Lines != 3 || p.Jobs != 3 || p.Faulty != 0 || p.Sizes != (planning.Sizes{Files: 3, KnownJobs: 1, Bytes: 100, EmbeddedJobs: 1}) {
		t.Errorf("%+v", p)
	}
	lanes := []planning.Lane{
		{Destination: "x", Environment: "Development", Operation: "documentreference-create", Jobs: 2, Requests: 3},
		{Destination: "y", Environment: "Development", Operation: "documentreference-create", Jobs: 1, Requests: 2},
	}
	if !reflect.DeepEqual(p.Lanes, lanes) || len(p.Manifest.SHA256) != 64 || p.Manifest.Size == 0 {
		t.Errorf("%+v", p)
	}
}

func listed(p *planning.Plan) string {
	var all []string
	for _, f := range p.Faults {
		all = append(all, fmt.Sprintf("%d %s %s", f.Line, f.Code, f.Path))
	}
	return strings.Join(all, "|")
}

func TestFaults(t *testing.T) {
	lines := "a,x,,k,,,\nb b,x,,k,,,\na,x,,k,,,\nc,x,,k,,0,\nd,x,,k,,1001,\ne,x,,k,,,2026-11-20T10:00:00Z\na,x,,k,,,\n,x\n"
	p := mustPlan(t, lines, nil)
	want := "3 pattern /id|4 duplicate_id /id|5 file_empty /files/0|6 file_too_large /files/0|7 expires_before_request /expires_at|8 duplicate_id /id|9 field_count "
	if got := listed(p); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if p.Lines != 8 || p.Jobs != 1 || p.Faulty != 7 || p.Codes["duplicate_id"] != 2 || !strings.Contains(p.Faults[1].Text, "line 2 ") {
		t.Errorf("%+v", p)
	}
	few := mustPlan(t, lines, func(o *planning.Options) { o.Faults = 2 })
	if got := listed(few); got != "3 pattern /id|4 duplicate_id /id" || few.Faulty != 7 {
		t.Errorf("%s", got)
	}
	late := mustPlan(t, "a,x,,k,,,\n", func(o *planning.Options) { o.Start = start.Add(time.Hour) })
	if got := listed(late); got != "2 expired /expires_at" {
		t.Errorf("%s", got)
	}
}

// store knows sizes by key, and faults of those it does not know.
type store struct {
	sizes       map[string]int64
	now, atOnce atomic.Int64
}

func (s *store) Size(_ context.Context, file schemas.File) (int64, error) {
	s.atOnce.Store(max(s.atOnce.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	if n, ok := s.sizes[file.Key]; ok {
		return n, nil
	}
	return 0, &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_missing", Text: "S3 has no such object"}
}

func TestHeads(t *testing.T) {
	s := &store{sizes: map[string]int64{"small": 100, "large": 900, "huge": 2000, "none": 0}}
	p := mustPlan(t, "a,x,,small,,,\nb,x,,large,,,\nc,x,,small,small,,\nd,x,,small,large,,\ne,x,,huge,,,\nf,x,,none,,,\ng,x,,small,gone,,\nh h,x,,gone,,,\n",
		func(o *planning.Options) { o.Sizer, o.Heads = s, 2 })
	want := "6 file_too_large /files/0|7 file_empty /files/0|8 file_missing /files/1|9 pattern /id"
	if got := listed(p); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if p.Cost.Requests != 1+2+1+3 || p.Sizes.KnownJobs != 4 || p.Sizes.Bytes != 100+900+200+1000 || s.atOnce.Load() > 2 {
		t.Errorf("%+v, %d at once", p, s.atOnce.Load())
	}
}

// TestNoPlanOfAPart: what could not be read to its end has no plan.
func TestNoPlanOfAPart(t *testing.T) {
	down := errors.New("down")
	if p, err := plan(t, io.MultiReader(strings.NewReader(strings.Repeat("a,x,,k,,,\n", 500)), iotest.ErrReader(down)), nil); !errors.Is(err, down) {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := plan(t, strings.NewReader("a,x,,k,,,\nb,x,,k,,,\nc,x,,k,,,\n"), func(o *planning.Options) { o.Dir += "/nowhere"; o.IDsHeld = 2 }); err == nil {
		t.Error("a plan without a place for the ids")
	}
}

// TestEstimate: the budget bounds a run of many destinations, and one destination bounds its
// own jobs, whatever their operations are.
func TestEstimate(t *testing.T) {
	lines := "a,good-health,embed,k1,,,\nb,good-health,upload,k2,,,\nc,other,embed,k3,,,\n" // 1, 2 and 1 requests
	for answer, want := range map[time.Duration][3]int64{
		0:                {24, 0, 24},
		10 * time.Second: {24, 15, 24},
		time.Minute:      {24, 90, 90},
	} {
		c := mustPlan(t, lines, func(o *planning.Options) {
			o.Serving = planning.Serving{LaneConcurrency: 2, Answer: answer}
		}).Cost
		if got := [3]int64{c.BudgetSeconds, c.LaneSeconds, c.Seconds}; got != want || c.Destination != "good-health" {
			t.Errorf("with %s per answer: %v at %q, want %v", answer, got, c.Destination, want)
		}
	}
	c := mustPlan(t, lines, func(o *planning.Options) {
		o.Budget.Requests, o.Serving = 0, planning.Serving{LaneConcurrency: 2, Answer: time.Second}
	}).Cost
	if c.BudgetSeconds != 0 || c.Seconds != 2 {
		t.Errorf("without a budget: %+v", c)
	}
}

// TestWarnings: what is unusual is told with its first line and its place, and is no fault.
func TestWarnings(t *testing.T) {
	p := mustPlan(t, "a,good-health,,k1,k1,,\nb,good-health,,k2,k3,,\nc,good-health,,k3,,,\nd,other,,k3,,,\n", nil)
	want := []planning.Warning{{Code: "object_repeated", Path: "/files", Text: "the object is in an earlier line too: the same document would be sent twice", Lines: 2, First: 4}}
	if p.Faulty != 0 || len(p.Warnings) != 1 || p.Warnings[0] != want[0] {
		t.Errorf("%d faulty, %+v", p.Faulty, p.Warnings)
	}
}

// TestSample: the same lines each time, spread over the manifest, and none that is faulty.
func TestSample(t *testing.T) {
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, "job-%d,good-health,,k%d,,,\n", i, i)
	}
	lines.WriteString(",good-health,,k,,,\n")
	var before []int64
	for range 2 {
		s := planning.NewSample(10)
		mustPlan(t, lines.String(), func(o *planning.Options) { o.Sample = s })
		var numbers []int64
		for _, one := range s.Jobs() {
			numbers = append(numbers, one.Line)
			if job, err := schemas.DecodeJob(one.Data); err != nil || job.ID != fmt.Sprintf("job-%d", one.Line-2) {
				t.Errorf("line %d: %q, %v", one.Line, job.ID, err)
			}
		}
		if len(numbers) != 10 || !slices.IsSorted(numbers) || numbers[9]-numbers[0] < 300 || before != nil && !slices.Equal(numbers, before) {
			t.Errorf("%v, before %v", numbers, before)
		}
		before = numbers
	}
}
