package examples

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

const page = "../integrating.md"

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// connect gives a client of a server that has the streams, and the deployment's
// own connection to it.
func connect(t *testing.T) (jetstream.JetStream, *natsq.Conn) {
	t.Helper()
	server := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	ours, err := natsq.Connect(natsq.Config{Prefix: "chartpost", Options: []nats.Option{server.InProcess()}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	age := 24 * time.Hour
	patient, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := ours.Setup(patient, natsq.Layout{Replicas: 1, EventsAge: age, DeadAge: age, AuditAge: age, LedgerAge: age, Duplicates: 10 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", server.InProcess(), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return js, ours
}

func TestPublish(t *testing.T) {
	t.Parallel()
	js, _ := connect(t)
	data := []byte(read(t, "job.json"))
	for i := range 2 { // the ledger recognizes the second, not the stream
		if err := Publish(t.Context(), js, data); err != nil {
			t.Fatalf("publish %d: %v", i+1, err)
		}
	}
	stream, err := js.Stream(t.Context(), "CHARTPOST_JOBS")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := stream.GetLastMsgForSubject(t.Context(), "chartpost.jobs.live.good_5Fhealth")
	if err != nil || string(stored.Data) != string(data) || stored.Sequence != 2 || stored.Header.Get(jetstream.MsgIDHeader) != "" {
		t.Fatalf("%v: stored %+v", err, stored)
	}
	if err := Publish(t.Context(), js, []byte(`{"id":"x"}`)); err == nil {
		t.Error("what is no job was published")
	}
}

// TestConsume lets the first try of each event fail, and brings a repeat that the
// stream does not drop.
func TestConsume(t *testing.T) {
	t.Parallel()
	js, ours := connect(t)
	lane := schemas.Lane{Class: schemas.Live, Destination: "good_health"}
	event := func(job string, status schemas.Status) schemas.Event {
		data := schemas.EventData{JobID: job, Class: lane.Class, Destination: lane.Destination, Status: status, Attempt: 1}
		if status == schemas.StatusAccepted {
			data.Receipt = &schemas.Receipt{Status: 200, AcceptedAt: time.Now()}
		}
		return schemas.NewEvent("chartpost", data, time.Now())
	}
	final := natsq.EventSelection{Statuses: slices.DeleteFunc(slices.Clone(statuses), func(s schemas.Status) bool { return !s.Final() })}
	if made, err := ours.Subscribe(t.Context(), "outcomes", final, natsq.Beginning{}); err != nil || !made {
		t.Fatal(made, err)
	}
	told := []schemas.Event{event("a", schemas.StatusUploaded), event("a", schemas.StatusAccepted), event("b", schemas.StatusCancelled)}
	for _, e := range told {
		if err := ours.Outbox().Tell(t.Context(), lane, e); err != nil {
			t.Fatal(err)
		}
	}
	repeat, err := told[1].Encode()
	if err != nil {
		t.Fatal(err)
	}
	// A later Chartpost's field, and what is no event at all.
	repeat = []byte(strings.Replace(string(repeat), `{`, `{"new":1,`, 1))
	for _, data := range [][]byte{repeat, []byte("junk")} {
		if _, err := js.Publish(t.Context(), "chartpost.events.live.good_5Fhealth.accepted", data); err != nil {
			t.Fatal(err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tried, noted := map[string]int{}, map[string]bool{}
	err = Consume(ctx, js, func(_ context.Context, e schemas.Event) error {
		if tried[e.ID]++; tried[e.ID] == 1 {
			return errors.New("the database is away")
		}
		noted[e.ID] = true
		if len(noted) == 2 && tried["good_health/a/1/accepted"] >= 3 && tried["good_health/b/1/cancelled"] >= 2 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(noted) != 2 {
		t.Errorf("%v: noted %v after %v", err, noted, tried)
	}
	again, err := js.Consumer(t.Context(), "CHARTPOST_EVENTS", "outcomes")
	if err != nil {
		t.Fatal(err)
	}
	if again.CachedInfo().NumPending != 0 {
		t.Errorf("%d events were not delivered", again.CachedInfo().NumPending)
	}
}

func TestTokens(t *testing.T) {
	var vectors map[string]string
	if err := json.Unmarshal([]byte(read(t, "tokens.json")), &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 5 {
		t.Fatalf("%d vectors", len(vectors))
	}
	text := read(t, page)
	for address, token := range vectors {
		if got := schemas.Token(address); got != token || !schemas.ValidAddress(address) {
			t.Errorf("%q is %q, not %q", address, got, token)
		}
		if row := fmt.Sprintf("| `%s` | `%s` |\n", address, token); !strings.Contains(text, row) {
			t.Errorf("the page does not have %s", row)
		}
	}
}

var block = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// TestThePageShowsTheFiles holds every block of the page to a file that is
// checked, or to a check of its own.
func TestThePageShowsTheFiles(t *testing.T) {
	files := map[string]bool{}
	for _, pattern := range []string{"*.py", "*.mjs", "examples.go", "job.json", "event.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range found {
			files[read(t, file)] = false
		}
	}
	for _, found := range block.FindAllStringSubmatch(read(t, page), -1) {
		language, text := found[1], found[2]
		if _, ok := files[text]; !ok && language != "sh" {
			t.Errorf("a block that is no file here:\n%s", text)
		}
		files[text] = true
	}
	for text, shown := range files {
		if !shown {
			t.Errorf("not on the page:\n%s", text)
		}
	}
}

// TestJobs reads the job in every example as the worker does; the event is its.
func TestJobs(t *testing.T) {
	want, err := schemas.DecodeJob([]byte(read(t, "job.json")))
	if err != nil {
		t.Fatal(err)
	}
	for file, start := range map[string]string{"publish.py": "\njob = ", "publish.mjs": "\nconst job = "} {
		_, after, ok := strings.Cut(read(t, file), start)
		if !ok {
			t.Errorf("%s has no job", file)
			continue
		}
		var written json.RawMessage
		if err := json.NewDecoder(strings.NewReader(after)).Decode(&written); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: the job is no JSON: %v", file, err)
			continue
		}
		job, err := schemas.DecodeJob(written)
		if err != nil || job.ID != want.ID || job.Destination != want.Destination {
			t.Errorf("%s: %v: %+v", file, err, job)
		}
	}
	event, err := schemas.DecodeEvent([]byte(read(t, "event.json")))
	if err != nil {
		t.Fatal(err)
	}
	if d := event.Data; d.JobID != want.ID || d.Operation != want.Operation || d.Destination != want.Destination.Address() ||
		!maps.Equal(d.Correlation, want.Correlation) || len(d.Files) != len(want.Files) {
		t.Errorf("the event is of another job than the page's: %+v", d)
	}
}

var subject = regexp.MustCompile(`chartpost\.(jobs|events)\.[^\s"'` + "`" + `]+`)

// TestSubjects holds every subject on the page to the rules.
func TestSubjects(t *testing.T) {
	seen := 0
	for _, s := range subject.FindAllString(read(t, page), -1) {
		seen++
		// The places where a caller puts something in.
		s = strings.NewReplacer("<class>", "live", "<destination>", "a", "<status>", "failed", "{token(where)}", "a", "${token(where)}", "a").Replace(s)
		tokens := strings.Split(s, ".")
		classes := []string{"live", "backfill", "*"}
		switch {
		case tokens[1] == "jobs":
			if _, err := schemas.ParseJobSubject("chartpost", s); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		case len(tokens) != 5 || !slices.Contains(classes, tokens[2]):
			t.Errorf("%s is no subject of events", s)
		case tokens[4] != "*" && !slices.Contains(statuses, schemas.Status(tokens[4])):
			t.Errorf("%s: there is no such status", s)
		}
	}
	if seen < 5 {
		t.Errorf("only %d subjects on the page", seen)
	}
}

var statuses = []schemas.Status{
	schemas.StatusUploaded, schemas.StatusAccepted, schemas.StatusRetrying, schemas.StatusFailed,
	schemas.StatusUnknown, schemas.StatusDuplicate, schemas.StatusCancelled,
}

var statusRow = regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| (yes|no) \\| ")

// TestStatuses holds the table of the page to what the code calls final.
func TestStatuses(t *testing.T) {
	told := map[schemas.Status]bool{}
	for _, row := range statusRow.FindAllStringSubmatch(read(t, page), -1) {
		told[schemas.Status(row[1])] = row[2] == "yes"
	}
	if len(told) != len(statuses) {
		t.Errorf("the page tells of %v", told)
	}
	for _, status := range statuses {
		if final, ok := told[status]; !ok || final != status.Final() {
			t.Errorf("%s: the page says %v, %v", status, final, ok)
		}
	}
}
