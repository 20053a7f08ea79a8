package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// TestMetricsOfJobs: one job is accepted, one fails and one is tried again, and
// the metrics say so.
func TestMetricsOfJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.HTTP.Addr = "127.0.0.1:0"
	w.settings.Budget.Requests = 1000
	w.worker()
	const size = 300_000
	w.publish(w.job("accepted", []schemas.File{w.put("a.pdf", document(size, "a"))}, transfer(schemas.Upload)))
	w.final("accepted")
	w.publish(w.job("failed", []schemas.File{{Bucket: testBucket, Key: t.Name() + "/none.pdf"}}))
	w.final("failed")
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1}))
	w.publish(w.job("retried", []schemas.File{w.put("b.pdf", document(100, "b"))}))
	w.final("retried")
	w.drained()

	lane := []string{"class=live", "destination=good-health"}
	with := func(more ...string) []string { return append(append([]string{}, lane...), more...) }
	var m metrics
	devtest.Until(t, "the last job is told of", patienceOfTests, func() bool {
		m = w.scrape()
		return m.sum("chartpost_job_outcomes_total", "status=accepted") == 2 && m.sum("chartpost_lane_jobs") == 0 && m.sum("chartpost_worker_jobs_in_hand") == 0
	})
	m = w.scrape() // what one scrape tells is not all of one moment
	m.is(2, "chartpost_job_outcomes_total", with("status=accepted")...)
	m.is(1, "chartpost_job_outcomes_total", with("status=failed")...)
	m.is(1, "chartpost_job_outcomes_total", with("status=retrying")...)
	m.is(0, "chartpost_job_outcomes_total", "status=unknown")
	m.is(1, "chartpost_job_faults_total", "kind=permanent", "scope=job", "code=file_missing")
	m.is(1, "chartpost_job_faults_total", "kind=unknown_outcome")
	m.is(2, "chartpost_job_faults_total")
	m.is(2, "chartpost_job_acceptance_seconds", "class=live")
	retrying := w.await("retried", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusRetrying })
	waited := w.final("retried").Time.Sub(retrying.Time).Seconds()
	if sum := m.families["chartpost_job_acceptance_seconds"].Metric[0].GetHistogram().GetSampleSum() +
		m.families["chartpost_job_acceptance_seconds"].Metric[1].GetHistogram().GetSampleSum(); sum < waited {
		t.Errorf("jobs waited %v s from publish to acceptance, one of them %v s for its schedule alone", sum, waited)
	}
	m.is(4, "chartpost_step_duration_seconds", "step=understand", "result=ok")
	m.is(1, "chartpost_step_duration_seconds", "step=upload", "result=ok")
	m.is(2, "chartpost_step_duration_seconds", "step=send", "result=ok")
	m.is(1, "chartpost_step_duration_seconds", "step=send", "result=error")
	m.is(1, "chartpost_step_duration_seconds", "step=survey", "result=error")
	m.is(4, "chartpost_step_duration_seconds", "step=settle", "result=ok")
	m.is(4, "chartpost_step_duration_seconds", "step=ack", "result=ok")
	m.is(size, "chartpost_redox_sent_bytes_total", "kind=file")
	m.is(1, "chartpost_redox_request_duration_seconds", "kind=upload", "status=2xx")
	m.is(2, "chartpost_redox_request_duration_seconds", "kind=send", "status=2xx")
	m.is(1, "chartpost_redox_request_duration_seconds", "kind=send", "status=none")
	m.is(1, "chartpost_token_requests_total", "result=ok")
	m.is(3, "chartpost_message_duration_seconds", lane...)
	m.is(1, "chartpost_s3_request_duration_seconds", "op=open", "result=job")
	m.is(8, "chartpost_worker_slots")
	m.is(0, "chartpost_worker_jobs_in_hand")
	m.is(0, "chartpost_gate_shut")
	m.is(1, "chartpost_check_ok", "check=nats")
	m.is(1, "chartpost_check_ok", "check=process")
	m.is(1, "chartpost_nats_connected")
	m.is(1000, "chartpost_budget_limit_requests")
	m.is(0, "chartpost_panics_total")
	m.is(0, "chartpost_lane_broken", lane...)
	if read := m.sum("chartpost_s3_read_bytes_total"); read < size+100 {
		t.Errorf("%v bytes were read", read)
	}
	if sent := m.sum("chartpost_redox_sent_bytes_total", "kind=message"); sent < 1000 {
		t.Errorf("%v bytes of messages", sent)
	}
	if ends := m.sum("chartpost_token_expiry_timestamp_seconds"); ends < float64(time.Now().Unix()) {
		t.Errorf("the token ends at %v", ends)
	}
	devtest.Until(t, "the dead letter is told of", patienceOfTests, func() bool {
		m = w.scrape()
		return m.families["chartpost_dead_letters"] != nil && m.sum("chartpost_dead_letters") == 1
	})
}

// TestMetricsOfLanes: what holds a lane, and what waits in it.
func TestMetricsOfLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.HTTP.Addr = "127.0.0.1:0"
	w.worker()
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503}))
	file := w.put("a.pdf", document(100, "a"))
	began := float64(time.Now().Unix())
	for i := range 4 {
		w.publish(w.job(fmt.Sprintf("job-%d", i), []schemas.File{file}))
	}
	lane := []string{"class=live", "destination=good-health"}
	devtest.Until(t, "the lane is told of as broken, and as old", patienceOfTests, func() bool {
		m := w.scrape()
		return m.families["chartpost_lane_broken"] != nil && m.sum("chartpost_lane_broken", lane...) == 1 &&
			m.families["chartpost_lane_oldest_job_timestamp_seconds"] != nil && m.sum("chartpost_lane_jobs", lane...) > 0 &&
			m.sum("chartpost_lane_oldest_job_timestamp_seconds", lane...) >= began && m.sum("chartpost_lane_oldest_job_timestamp_seconds", lane...) <= float64(time.Now().Unix()+1)
	})
}

// TestMetricsAreBounded: destinations beyond the limit are told of together.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.HTTP.Addr, w.settings.Telemetry.Destinations = "127.0.0.1:0", 2
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	const all = 6
	for i := range all {
		w.publish(w.job(fmt.Sprintf("job-%d", i), []schemas.File{file}, to(fmt.Sprintf("clinic-%d", i))))
	}
	for i := range all {
		w.final(fmt.Sprintf("job-%d", i))
	}
	var m metrics
	devtest.Until(t, "all are told of", patienceOfTests, func() bool {
		m = w.scrape()
		return m.sum("chartpost_job_outcomes_total", "status=accepted") == all
	})
	m.is(all-2, "chartpost_job_outcomes_total", "status=accepted", "destination=other")
	if n := strings.Count(m.text, "\nchartpost_lane_jobs{"); n != 3 {
		t.Errorf("%d series of lanes, want 3", n)
	}
}

// TestPprofIsAskedFor: what shows a process's memory is not there by itself.
func TestPprofIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		w := newWorld(t, "")
		w.settings.HTTP.Addr, w.settings.Telemetry.Pprof = "127.0.0.1:0", on
		stop := w.worker()
		response, err := http.Get("http://" + w.address() + "/debug/pprof/heap")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if (response.StatusCode == 200) != on {
			t.Errorf("pprof %t: %s", on, response.Status)
		}
		stop()
	}
}
