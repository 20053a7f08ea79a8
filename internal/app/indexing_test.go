package app

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/schemas"
)

// TestAWorkerWithoutAnIndexDelivers: setup has not been run since there is one. The worker
// says what is missing, and indexes once it is there.
func TestAWorkerWithoutAnIndexDelivers(t *testing.T) {
	w := newWorld(t, "")
	if err := w.js.DeleteStream(t.Context(), "CHARTPOST_INDEX"); err != nil {
		t.Fatal(err)
	}
	w.worker()
	w.publish(w.job("one", []schemas.File{w.put("one.pdf", document(100, "one"))}))
	if e := w.final("one"); e.Data.Status != schemas.StatusAccepted {
		t.Errorf("it ended as %s", e.Data.Status)
	}
	devtest.Until(t, "the worker says what is missing", patienceOfTests, func() bool {
		return strings.Contains(w.log.String(), "jobs are delivered, but they are not indexed") && strings.Contains(w.log.String(), "chartpost setup")
	})
	w.setup()
	e := schemas.NewEvent("chartpost", schemas.EventData{JobID: "other", Class: schemas.Live, Destination: "nowhere", Status: schemas.StatusUploaded}, w.final("one").Time)
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for range jobindex.MostEvents {
		if _, err := w.js.PublishAsync(schemas.EventSubject("chartpost", e.Lane(), e.Data.Status), data, jetstream.WithStallWait(patienceOfTests)); err != nil {
			t.Fatal(err)
		}
	}
	<-w.js.PublishAsyncComplete()
	devtest.Until(t, "the events are indexed", patienceOfTests, func() bool { return strings.Contains(w.log.String(), "events are in the job index") })
}
