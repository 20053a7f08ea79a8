package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/schemas"
)

// TestNoPatientDataInOutcomes follows messages with canaries in every field, through
// answers that have canaries wherever Redox may write a text: names, a status, the body
// and the headers of errors. It searches the log, the events, the metrics and the
// bucket.
func TestNoPatientDataInOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.OnUnknown = "hold"
	lab, other := uuid.NewString(), uuid.NewString()
	w.api.Script(lab, platform.Stays(platform.Failed))
	w.api.Script(other, platform.Stays(canary+" "+canary))
	for _, status := range []int{400, 403, 429, 503} {
		w.inject(redoxsim.Fault{
			Match: redoxsim.Match{Kind: redoxsim.PlatformRequest}, Times: 1, Action: redoxsim.AnswerStatus, Status: status,
			Header: map[string]string{"Redox-Trace-Id": canary + " " + canary, "Retry-After": canary}, Body: `{"errors":["` + canary + `"]}`,
		})
	}
	w.inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: "good-health"}, Skip: 1, Times: 1, Action: redoxsim.CutAfterProcessing})
	settings := w.followSettings(func(s *FollowSettings) {
		s.SourceIsOurs, s.HTTP.Addr, s.Budget.Requests = true, "127.0.0.1:0", 0
		s.Outcome.Environment = w.api.EnvironmentID("Development")
		s.Outcome.Destinations = map[string]string{"good-health": platform.DestinationID("good-health")}
		s.Times.Before, s.Times.After, s.Times.Settle, s.Times.Again, s.Times.Pause = time.Second, 200*time.Millisecond, time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
		s.Times.LookLongest = time.Second
	})
	w.worker()
	w.follower(settings)
	file := w.put(canary+"-key.pdf", document(1000, "a"))
	file.Title = canary + ".pdf"
	fhir := func(j *schemas.Job) { j.Message = json.RawMessage(plant(canary)) }
	note := func(destination string) func(*schemas.Job) {
		return func(j *schemas.Job) {
			j.Operation, j.Destination = "notes-new", schemas.Destination{ID: destination, Environment: schemas.Development}
			j.Message = json.RawMessage(`{"Patient":{"Identifiers":[{"ID":"` + canary + `","IDType":"MR"}],"Demographics":{"LastName":"` + canary + `"}},` +
				`"Note":{"DocumentType":"` + canary + `","DocumentID":"d1","Provider":{"ID":"` + canary + `"}}}`)
		}
	}
	w.publish(w.job("failed", []schemas.File{file}, note(lab)), w.job("strange", []schemas.File{file}, note(other)))
	w.publish(w.job("counted", []schemas.File{file}, fhir))
	delivered := func(e schemas.Event) bool { return e.Data.Status == schemas.StatusDelivered }
	w.await("failed", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusUndelivered })
	w.await("counted", delivered)
	w.publish(w.job("held", []schemas.File{file}, fhir))
	w.await("held", delivered)
	devtest.Until(t, "the strange status is told of", patienceOfTests, func() bool {
		return strings.Contains(w.log.String(), "a status that is not known here")
	})
	told, err := w.tryScrape(w.address())
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"the log": w.log.String(), "the metrics": told.text}
	bucket, err := w.queue.Outcomes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	records := ""
	v := outcome.View{}
	if err := bucket.All(t.Context(), "", func(key string, value []byte, _ uint64) {
		records += key + " " + string(value) + "\n"
		if err := v.Add(key, value); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	places["the bucket"] = records
	if len(v.Jobs) < 2 || len(v.Windows) < 2 || v.Cursor == nil {
		t.Errorf("the bucket holds too little to prove anything:\n%s", records)
	}
	w.events.mu.Lock()
	for _, e := range w.events.all {
		data, err := e.Encode()
		if err != nil {
			t.Error(err)
		}
		places["the events"] += string(data) + "\n"
	}
	w.events.mu.Unlock()
	for where, text := range places {
		if i := strings.Index(strings.ToUpper(text), canary); i >= 0 {
			t.Errorf("patient data in %s: …%s…", where, text[max(i-120, 0):min(i+60, len(text))])
		}
		if len(text) < 500 {
			t.Errorf("%s: too little to prove anything", where)
		}
	}
}
