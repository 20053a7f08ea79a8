package show

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chartpost/chartpost/schemas"
)

var update = flag.Bool("update", false, "write the golden file anew")

func list() []schemas.Event {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.Local)
	event := func(data schemas.EventData) schemas.Event { return schemas.Event{Time: at, Data: data} }
	one := []schemas.EventFile{{Size: 30_000_000, Transfer: schemas.Upload}}
	return []schemas.Event{
		event(schemas.EventData{JobID: "send-20261120-7afddnzg7k", Status: schemas.StatusUploaded, Attempt: 1, Files: one}),
		event(schemas.EventData{JobID: "send-20261120-7afddnzg7k", Status: schemas.StatusAccepted, Attempt: 1, Files: one,
			Receipt: &schemas.Receipt{Status: 200, Location: "https://fhir.example.org/R4/x/DocumentReference/a4969ebe-52fb-4794-8733-1c6e3eb82819/_history/1"}}),
		event(schemas.EventData{JobID: "a", Status: schemas.StatusRetrying, Attempt: 2, NextAttemptAt: at.Add(time.Hour),
			Reason: &schemas.Reason{Kind: "retryable", Code: "status", Text: "it was busy"}}),
		event(schemas.EventData{JobID: "a", Status: schemas.StatusAccepted, Attempt: 3, PossibleDuplicate: true,
			Files:   []schemas.EventFile{{Size: 900, Transfer: schemas.Embed}, {Size: 90_000, Transfer: schemas.Embed}},
			Receipt: &schemas.Receipt{Status: 202}}),
		event(schemas.EventData{JobID: "b", Status: schemas.StatusFailed, Attempt: 1,
			Reason: &schemas.Reason{Kind: "permanent", Code: "file_missing", Path: "/files/0", Text: "S3 has no such object"}}),
		event(schemas.EventData{JobID: "c", Status: schemas.StatusCancelled}),
	}
}

func table(color bool) string {
	var out bytes.Buffer
	events := NewEvents(&out, color)
	for _, e := range list() {
		events.Add(e)
	}
	return out.String()
}

func TestTable(t *testing.T) {
	const golden = "testdata/table.txt"
	got := table(false)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	// The golden file was written where the clock is that of UTC.
	zoned := strings.ReplaceAll(string(want), "UTC", list()[0].Time.Format("MST"))
	if err != nil || got != zoned {
		t.Errorf("%v, got\n%s", err, got)
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 120 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// Color changes no column and is the status's alone.
func TestColour(t *testing.T) {
	plain, colored := table(false), table(true)
	strip := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "")
	if strip.Replace(colored) != plain {
		t.Errorf("the columns differ:\n%s", colored)
	}
	for _, want := range []string{"\x1b[33muploaded ", "\x1b[32maccepted ", "\x1b[31mfailed   "} {
		if !strings.Contains(colored, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, c := range []struct {
		terminal, want bool
		env            map[string]string
	}{
		{terminal: true, want: true},
		{terminal: false, want: false},
		{terminal: true, env: map[string]string{"NO_COLOR": "1"}},
		{terminal: true, env: map[string]string{"TERM": "dumb"}},
	} {
		if got := Color(c.terminal, func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if IsTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is no terminal")
	}
}
