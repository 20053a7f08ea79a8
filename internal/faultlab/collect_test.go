package faultlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// collect reads everything that happened into the books.
func (l *lab) collect() {
	l.t.Helper()
	l.books.Requests = l.redox.log()
	l.books.LostAnswers = l.redox.lostAnswers() + late(l.books.Requests, l.fleet.crew.answer)
	l.collectRedox()
	l.eachMessage(stream("EVENTS"), l.takeEvent())
	l.eachMessage("KV_"+stream("LEDGER"), l.takeRevision)
	l.eachMessage(stream("DEAD"), l.takeLetter)
	l.collectLeft()
	l.searchLogs()
	slices.SortFunc(l.books.Jobs, func(a, b Job) int { return a.Published.Compare(b.Published) })
	slices.SortFunc(l.books.Posts, func(a, b Post) int { return a.At.Compare(b.At) })
}

// collectRedox knows files by their content: no two are alike.
func (l *lab) collectRedox() {
	type place struct {
		job   string
		index int
	}
	owners := map[string]place{}
	for _, j := range l.books.Jobs {
		for i, sum := range j.Files {
			owners[sum] = place{j.ID, i}
		}
	}
	for _, u := range l.redox.sim.Uploads() {
		of := owners[u.Body.SHA256]
		l.books.Uploads = append(l.books.Uploads, Upload{Job: of.job, Index: of.index, From: senderOf(u.From), Started: u.Started, Finished: u.Finished})
	}
	l.canaryArrived()
	for _, m := range l.redox.sim.Messages() {
		p := Post{Job: m.DocumentID, Destination: m.Destination, Bundle: m.BundleID, From: senderOf(m.From), Started: m.Started, At: m.At}
		for _, f := range m.Files {
			p.Files = append(p.Files, f.SHA256)
		}
		l.books.Posts = append(l.books.Posts, p)
	}
}

// canaryArrived makes sure that the search for the canary can find something:
// Redox has it.
func (l *lab) canaryArrived() {
	l.t.Helper()
	messages := l.redox.sim.Messages()
	if len(messages) == 0 {
		return
	}
	text, err := messages[0].Body.Bytes()
	if err != nil {
		l.t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(l.canary)) {
		l.t.Fatal("a message at Redox holds no canary: nothing can be proven by its absence elsewhere")
	}
}

// eachMessage reads a stream from its first message to its last.
func (l *lab) eachMessage(name string, take func(jetstream.Msg, time.Time) error) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := l.js.Stream(ctx, name)
	if err != nil {
		l.t.Fatalf("reading %s: %v", name, err)
	}
	last := s.CachedInfo().State.LastSeq
	if s.CachedInfo().State.Msgs == 0 {
		return
	}
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		l.t.Fatalf("reading %s: %v", name, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		l.t.Fatalf("reading %s: %v", name, err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			l.t.Fatalf("reading %s: %v", name, err)
		}
		about, err := msg.Metadata()
		if err == nil {
			err = take(msg, about.Timestamp)
		}
		if err != nil {
			l.t.Fatalf("reading %s: %v", name, err)
		}
		if about.Sequence.Stream >= last {
			return
		}
	}
}

// takeEvent leaves out repeats of an event's id, as consumers do.
func (l *lab) takeEvent() func(jetstream.Msg, time.Time) error {
	seen := map[string]bool{}
	return func(msg jetstream.Msg, at time.Time) error {
		var e struct {
			ID   string `json:"id"`
			Data struct {
				JobID             string `json:"job_id"`
				Status            string `json:"status"`
				Attempt           int    `json:"attempt"`
				PossibleDuplicate bool   `json:"possible_duplicate"`
				Reason            struct {
					Code string `json:"code"`
				} `json:"reason"`
			} `json:"data"`
		}
		if err := json.Unmarshal(msg.Data(), &e); err != nil {
			return err
		}
		l.search("event "+e.ID, fmt.Appendf(msg.Data(), " %s %v", msg.Subject(), msg.Headers()))
		if !seen[e.ID] {
			l.books.Events = append(l.books.Events, Event{
				ID: e.ID, Job: e.Data.JobID, Status: e.Data.Status, Reason: e.Data.Reason.Code, Attempt: e.Data.Attempt,
				PossibleDuplicate: e.Data.PossibleDuplicate, At: at,
			})
		}
		seen[e.ID] = true
		return nil
	}
}

func (l *lab) takeRevision(msg jetstream.Msg, at time.Time) error {
	var r struct {
		Phase             string `json:"phase"`
		Attempt           int    `json:"attempt"`
		Owner             string `json:"owner"`
		PossibleDuplicate bool   `json:"possible_duplicate"`
		Files             []struct {
			URL string `json:"url"`
		} `json:"files"`
	}
	if err := json.Unmarshal(msg.Data(), &r); err != nil {
		return err
	}
	about, err := msg.Metadata()
	if err != nil {
		return err
	}
	id := msg.Subject()[strings.LastIndexByte(msg.Subject(), '.')+1:]
	l.search("ledger record of "+id, fmt.Appendf(msg.Data(), " %s %v", msg.Subject(), msg.Headers()))
	one := Revision{
		Job: id, Phase: r.Phase, Owner: r.Owner, Sequence: about.Sequence.Stream, Attempt: r.Attempt,
		PossibleDuplicate: r.PossibleDuplicate, At: at,
	}
	for _, f := range r.Files {
		one.Known = append(one.Known, f.URL != "")
	}
	l.books.Revisions = append(l.books.Revisions, one)
	return nil
}

func (l *lab) takeLetter(msg jetstream.Msg, at time.Time) error {
	h := msg.Headers()
	id := h.Get("Chartpost-Job-Id")
	l.search("header of the dead letter of "+id, fmt.Appendf(nil, "%s %v", msg.Subject(), h))
	l.books.Letters = append(l.books.Letters, Letter{Job: id, Status: h.Get("Chartpost-Status"), Code: h.Get("Chartpost-Reason-Code"), At: at})
	return nil
}

// collectLeft reads which jobs the queue still holds.
func (l *lab) collectLeft() {
	l.t.Helper()
	if l.books.Rest.Messages == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, name := range []string{"DUE", "JOBS"} {
		s, err := l.js.Stream(ctx, stream(name))
		if err != nil {
			l.t.Fatal(err)
		}
		l.leftIn(ctx, s)
	}
}

// leftIn notes the jobs that a stream holds.
func (l *lab) leftIn(ctx context.Context, s jetstream.Stream) {
	l.t.Helper()
	for next := uint64(1); ; {
		msg, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(prefix+".>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return
		}
		var job struct {
			ID string `json:"id"`
		}
		if err == nil {
			err = json.Unmarshal(msg.Data, &job)
		}
		if err != nil {
			l.t.Fatalf("reading what is left in the queue: %v", err)
		}
		l.books.Left = append(l.books.Left, job.ID)
		next = msg.Sequence + 1
	}
}

// search looks for the canary.
func (l *lab) search(where string, text []byte) {
	if bytes.Contains(bytes.ToUpper(text), []byte(l.canary)) {
		l.books.Leaks = append(l.books.Leaks, where)
	}
}

func (l *lab) searchLogs() {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.fleet.logs, "*.log"))
	if err != nil || len(files) < len(l.fleet.places) {
		l.t.Fatalf("the workers left %d logs: %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			l.t.Fatal(err)
		}
		l.search("log "+filepath.Base(name), text)
		spent, err := spendings(text)
		if err != nil {
			l.t.Fatalf("reading %s: %v", filepath.Base(name), err)
		}
		l.books.Spendings = append(l.books.Spendings, spent...)
	}
}
