package schemas

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// audits are records of every action at every stage, about everything that an
// action can be about.
func audits(t *testing.T) []AuditData {
	targets := []Target{
		{Class: Live, Destination: "good.health~1"},
		{Class: Backfill, Destination: Misaddressed, JobID: "lab_2026-1", DeadLetter: 1<<63 - 1},
		{Class: Live, Destination: "a", DeadLetter: 1},
		{Run: "y2019"},
		{Subscription: "journal_1-a"},
	}
	var all []AuditData
	for _, action := range constants(t, "audit.go", "Action") {
		for _, stage := range constants(t, "audit.go", "Stage") {
			for _, target := range targets {
				d := AuditData{Action: Action(action), Stage: Stage(stage), Command: "AB2", Operator: Operator{Name: "ann", System: "ann@ops"}, Target: target}
				if d.Stage != StageRequested {
					d.Result = "done & over"
				}
				all = append(all, d)
				d.Reason, d.Parameters = "their <maintenance>", map[string]string{"limit": "3"}
				d.Operator.NATSUser, d.Operator.NATSAccount = "U", "A"
				all = append(all, d)
			}
		}
	}
	return all
}

func TestEveryConstructedAuditIsValid(t *testing.T) {
	for i, data := range audits(t) {
		record := NewAudit("chart-post1", data, i, someday)
		encoded, err := record.Encode()
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := DecodeAudit(encoded)
		if err != nil || !reflect.DeepEqual(decoded, record) {
			t.Errorf("%v\n%s", err, encoded)
		}
		if strings.Contains(string(encoded), `\u003c`) || strings.HasSuffix(string(encoded), "\n") {
			t.Errorf("%s", encoded)
		}
	}
}

func TestNewAuditNames(t *testing.T) {
	data := AuditData{Action: DeadDrop, Stage: StageDone, Command: "AB2", Target: Target{Class: Live, Destination: "a", JobID: "j", DeadLetter: 7}}
	a := NewAudit("p", data, 12, someday)
	if a.ID != "AB2/12/done" || a.Type != "chartpost.audit.dead-drop.v1" || a.Subject != "job/j" || a.Source != "/chartpost/p" || a.Time.Location() != time.UTC {
		t.Errorf("%+v", a)
	}
	if s := AuditSubject("p", DeadDrop); s != "p.audit.dead-drop" {
		t.Error(s)
	}
	for want, target := range map[string]Target{
		"dead/7": {Class: Live, Destination: "a", DeadLetter: 7}, "lane/live/a": {Class: Live, Destination: "a"}, "run/y": {Run: "y"},
		"subscription/s": {Subscription: "s"},
	} {
		if got := target.Name(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAuditExamples(t *testing.T) {
	for _, name := range fixtures(t, "audit/*.json") {
		a, err := DecodeAudit(read(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := NewAudit("chartpost", a.Data, 1, a.Time); !reflect.DeepEqual(a, want) {
			t.Errorf("%s: %+v is not what NewAudit makes: %+v", name, a, want)
		}
	}
}

func TestInvalidAudits(t *testing.T) {
	done := string(read(t, "examples/audit/dead-replay.json"))
	for _, c := range []struct{ old, new, want string }{
		{`"action": "dead-replay"`, `"action": "dead-raise"`, "/data/action enum"},
		{`"stage": "done"`, `"stage": "begun"`, "/data/stage enum"},
		{`"result": "resent"`, `"results": "resent"`, "/data/result required\n/data/* unknown_field"},
		{`"name": "ann@ops-1"`, `"name": ""`, "/data/operator/name too_short"},
		{`"reason": "the`, `"reason": "` + strings.Repeat("é", 200) + `the`, "/data/reason too_long"},
		{`"dead_letter": 17`, `"dead_letter": 0`, "/data/target/dead_letter out_of_range"},
		{`"job_id": "lab-2026-000123"`, `"job_id": "a b"`, "/data/target/job_id pattern"},
		{`"result": "resent"`, `"result": "resent", "parameters": {"limit": 3}`, "/data/parameters/* type"},
		{`"W4XQ7N2KDJ5T/1/done"`, `"W4XQ7N2KDJ5T/1/begun"`, "/id pattern"},
	} {
		in := strings.Replace(done, c.old, c.new, 1)
		if in == done {
			t.Fatalf("the example has no %s", c.old)
		}
		_, err := DecodeAudit([]byte(in))
		e, ok := errors.AsType[*Invalid](err)
		if !ok || codes(e) != c.want {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}
