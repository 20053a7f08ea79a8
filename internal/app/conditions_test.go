package app

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/internal/telemetry"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// condition is what alerts are about.
type condition struct {
	// fires must fire, also may.
	fires, also []string
	// lasts is how long the condition stands.
	lasts time.Duration
	// ownQueue is a NATS server that can be killed.
	ownQueue bool
	// cause gives what a worker answers before the condition and in it.
	cause func(w *world, cut func()) (before, after metrics)
}

// conditions cause every alert; none of them takes longer than seconds.
var conditions = map[string]condition{
	"all is well": {lasts: 6 * time.Hour, cause: func(w *world, _ func()) (before, after metrics) {
		w.worker()
		before = w.scrape()
		w.publish(w.files("job", 3)...)
		return before, w.ended("accepted", 3, "chartpost_job_outcomes_total", "status=accepted")
	}},
	"a run has ended":            {lasts: 6 * time.Hour, cause: ofRun(runAt(990, 10, 0, 0))},
	"a run stands still":         {fires: []string{"ChartpostRunStandsStill"}, lasts: 2 * time.Hour, cause: ofRun(runAt(400, 0, 100, 500))},
	"a run waits for its window": {lasts: 2 * time.Hour, cause: ofRun(waiting(runAt(400, 0, 0, 600)))},
	"a run is paused":            {fires: []string{"ChartpostRunPaused"}, lasts: 2 * time.Hour, cause: ofRun(paused(runAt(500, 0, 0, 500)))},
	"many lines of it fail":      {fires: []string{"ChartpostRunFails"}, cause: ofRun(runAt(300, 700, 0, 0))},
	"the worker has ended": {fires: []string{"ChartpostWorkerDown", "ChartpostNoWorker"}, cause: func(w *world, _ func()) (before, after metrics) {
		stop := w.worker()
		before = w.scrape()
		stop()
		if _, err := w.tryScrape(w.address()); err == nil {
			w.t.Error("a worker that has ended answers")
		}
		return before, metrics{t: w.t}
	}},
	"nats is away": {
		fires: []string{"ChartpostNATSDisconnected", "ChartpostWorkerNotReady", "ChartpostLeasesMissed"}, also: []string{"ChartpostJobTooOld", "ChartpostAnswersSlow"},
		ownQueue: true,
		cause: func(w *world, cut func()) (before, after metrics) {
			w.settings.Delivery.Lease = 3 * time.Second
			w.inject(toMessages(redoxsim.Fault{Action: redoxsim.Hang}))
			w.worker()
			before = w.scrape()
			w.publish(w.files("job", 1)...)
			w.until("in hand", 1, "chartpost_lane_jobs_in_hand")
			cut()
			w.until("the lease has ended", 1, "chartpost_lease_renewals_total", "result=missed")
			return before, w.until("the check of NATS fails", 1, "chartpost_nats_troubles")
		},
	},
	"a destination fails": {fires: []string{"ChartpostLaneBroken", "ChartpostJobTooOld"}, cause: func(w *world, _ func()) (before, after metrics) {
		w.settings.Delivery.RetryFirst, w.settings.Delivery.RetryLongest = time.Hour, time.Hour
		w.inject(toMessages(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503}))
		w.worker()
		before = w.scrape()
		w.publish(w.files("job", 6)...)
		w.until("it is old", 1, "chartpost_lane_oldest_job_timestamp_seconds")
		return before, w.until("the lane is broken", 1, "chartpost_lane_broken")
	}},
	"an operator pauses a lane": {fires: []string{"ChartpostLanePaused", "ChartpostBacklogGrowing"}, lasts: 6 * time.Hour, cause: func(w *world, _ func()) (before, after metrics) {
		control, err := w.queue.Control(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		pause := worker.LaneState{
			Lane: schemas.Lane{Class: schemas.Live, Destination: "good-health"}, Limit: 2,
			Pause: &worker.Pause{By: "operator", Reason: "a test", Since: time.Now(), Until: time.Now().Add(8 * time.Hour)},
		}
		if _, err := control.Put(w.t.Context(), pause); err != nil {
			w.t.Fatal(err)
		}
		w.worker()
		w.publish(w.files("few", 5)...)
		before = w.until("it is paused, with jobs", 5, "chartpost_lane_jobs")
		w.until("it is told of as paused", 1, "chartpost_lane_paused")
		w.publish(w.files("many", 150)...)
		return before, w.until("many wait", 155, "chartpost_lane_jobs")
	}},
	"a subject that cannot be read": {fires: []string{"ChartpostLanesRefused", "ChartpostWorkerNotReady"}, ownQueue: true, cause: func(w *world, _ func()) (before, after metrics) {
		w.worker()
		before = w.scrape()
		w.publishRaw("chartpost.jobs.live.a>b", []byte("{}"))
		w.until("it is told of", 1, "chartpost_jobs_unservable")
		return before, w.scrape()
	}},
	"more lanes than consumers": {fires: []string{"ChartpostLanesWaitLong"}, also: []string{"ChartpostJobTooOld", "ChartpostAnswersSlow"}, ownQueue: true, cause: func(w *world, _ func()) (before, after metrics) {
		layout := natsq.Layout{Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute, Lanes: 1}
		if _, err := w.queue.Setup(w.t.Context(), layout); err != nil {
			w.t.Fatal(err)
		}
		w.inject(toMessages(redoxsim.Fault{Action: redoxsim.Hang}))
		w.worker()
		for i := range 3 {
			job := w.files(fmt.Sprint("job-", i), 1)[0]
			job.Destination.Slug = fmt.Sprint("clinic-", i)
			w.publish(job)
		}
		before = w.until("others wait for their turn", 1, "chartpost_lanes_unserved", "why=turn")
		return before, w.scrape()
	}},
	"Redox does not deliver": {
		fires: []string{"ChartpostUndelivered", "ChartpostFiltered", "ChartpostStalled"}, also: []string{"ChartpostNoWorker"},
		cause: func(w *world, _ func()) (before, after metrics) {
			w.follower(w.followSettings(func(s *FollowSettings) { s.HTTP.Addr = "127.0.0.1:0" }))
			before, _ = w.tryScrape(w.address())
			for _, status := range []string{platform.Failed, platform.Filtered, platform.Pending} {
				lab := uuid.NewString()
				w.api.Script(lab, platform.Stays(status))
				w.accept(sent{id: status, destination: lab, at: time.Now().Add(-time.Hour)})
			}
			devtest.Until(w.t, "the outcomes are told", patienceOfTests, func() bool { return w.toldSoFar() == 3 })
			devtest.Until(w.t, "the metrics tell of them", patienceOfTests, func() bool {
				var err error
				after, err = w.tryScrape(w.address())
				return err == nil && after.sum("chartpost_outcomes_total") == 3 && after.sum("chartpost_outcome_waiting", "what=failed") == 1 && after.sum("chartpost_outcome_waiting", "what=jobs") == 1
			})
			return before, after
		},
	},
	"answers are slow": {fires: []string{"ChartpostAnswersSlow"}, also: []string{"ChartpostJobTooOld"}, cause: func(w *world, _ func()) (before, after metrics) {
		w.inject(toMessages(redoxsim.Fault{Action: redoxsim.Hang}))
		w.worker()
		before = w.scrape()
		w.publish(w.files("job", 2)...)
		return before, w.until("jobs are parked", 2, "chartpost_worker_jobs_parked")
	}},
	"jobs fail": {fires: []string{"ChartpostManyJobsFail", "ChartpostDeadLettersGrowing"}, cause: func(w *world, _ func()) (before, after metrics) {
		w.worker()
		w.publish(w.job("good", []schemas.File{w.put("good.pdf", document(100, "good"))}))
		w.until("dead letters are told of", 0, "chartpost_dead_letters")
		before = w.until("one is accepted", 1, "chartpost_job_outcomes_total", "status=accepted")
		for i := range 12 {
			w.publish(w.job(fmt.Sprintf("bad-%d", i), []schemas.File{{Bucket: testBucket, Key: w.t.Name() + "/none.pdf"}}))
		}
		return before, w.ended("all are dead letters", 12, "chartpost_dead_letters")
	}},
	"an answer is lost": {fires: []string{"ChartpostUnknownOutcome"}, also: []string{"ChartpostManyJobsFail"}, cause: func(w *world, _ func()) (before, after metrics) {
		w.settings.Delivery.OnUnknown = "hold"
		w.inject(toMessages(redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1}))
		w.worker()
		before = w.scrape()
		w.publish(w.files("job", 1)...)
		return before, w.ended("it is unknown", 1, "chartpost_job_outcomes_total", "status=unknown")
	}},
	"redox refuses for the rate": {fires: []string{"ChartpostRateLimited"}, cause: func(w *world, _ func()) (before, after metrics) {
		w.inject(toMessages(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 429, Times: 1}))
		w.worker()
		before = w.scrape()
		w.publish(w.files("job", 1)...)
		w.until("it was refused", 1, "chartpost_redox_request_duration_seconds", "status=429")
		return before, w.ended("it is accepted", 1, "chartpost_job_outcomes_total", "status=accepted")
	}},
	"the budget is used up": {fires: []string{"ChartpostBudgetExhausted"}, also: []string{"ChartpostJobTooOld"}, cause: func(w *world, _ func()) (before, after metrics) {
		w.settings.Budget.Requests, w.settings.Budget.Window = 3, 10*time.Minute
		w.worker()
		before = w.scrape()
		w.publish(w.files("job", 6)...)
		return before, w.until("jobs wait", 1, "chartpost_budget_waiting_requests", "class=live")
	}},
	"redox gives no token": {fires: []string{"ChartpostTokenFailures", "ChartpostGateShut"}, also: []string{"ChartpostWorkerNotReady", "ChartpostJobTooOld"}, cause: func(w *world, _ func()) (before, after metrics) {
		w.settings.Delivery.Concurrency = 3
		w.inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.TokenRequest}, Action: redoxsim.AnswerStatus, Status: 503})
		w.worker()
		before = w.scrape()
		w.publish(w.files("job", 6)...)
		w.until("it is refused", 3, "chartpost_token_requests_total", "result=error")
		return before, w.until("the gate is shut", 1, "chartpost_gate_shut")
	}},
	"the object store is away": {fires: []string{"ChartpostStoreFailing"}, also: []string{"ChartpostGateShut", "ChartpostWorkerNotReady", "ChartpostJobTooOld"}, cause: func(w *world, _ func()) (before, after metrics) {
		jobs := w.files("job", 1)
		w.settings.S3.Endpoint = "http://127.0.0.1:1"
		w.worker()
		before = w.scrape()
		w.publish(jobs...)
		return before, w.until("it fails", 3, "chartpost_s3_request_duration_seconds", "result=store")
	}},
	"the worker has a defect": {fires: []string{"ChartpostPanic"}, also: []string{"ChartpostNoWorker", "ChartpostManyJobsFail"}, cause: panicking},
	"more destinations than names, and no collector": {fires: []string{"ChartpostDestinationsUnnamed", "ChartpostSpansLost"}, lasts: 2 * time.Hour, cause: func(w *world, _ func()) (before, after metrics) {
		w.settings.Telemetry = Telemetry{Destinations: 1, OTLPEndpoint: "http://127.0.0.1:1"}
		w.worker()
		before = w.scrape()
		file := w.put("a.pdf", document(100, "a"))
		w.publish(w.job("one", []schemas.File{file}, to("clinic-1")), w.job("two", []schemas.File{file}, to("clinic-2")))
		w.until("both are accepted", 2, "chartpost_job_outcomes_total", "status=accepted")
		return before, w.ended("spans are lost", 1, "chartpost_trace_spans_total", "result=error")
	}},
}

// makeWorld gives the condition's world, and what kills its queue.
func (c condition) makeWorld(t testing.TB) (w *world, cut func()) {
	if c.ownQueue {
		server := devtest.NATSProcess(t, devstack.NATSOptions{LazySync: true})
		w = newWorld(t, server.URL())
		cut = func() {
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		w = newWorld(t, "")
	}
	const slow = "ChartpostAnswersSlow"
	w.jobsStand = slices.Contains(c.fires, slow) || slices.Contains(c.also, slow)
	return w, cut
}

// files are n jobs of one file each.
func (w *world) files(name string, n int) []schemas.Job {
	w.t.Helper()
	file := w.put(name+".pdf", document(100, name))
	var jobs []schemas.Job
	for i := range n {
		jobs = append(jobs, w.job(fmt.Sprintf("%s-%d", name, i), []schemas.File{file}))
	}
	return jobs
}

// until waits for a metric to be at least so much, and gives the scrape in which
// it is.
func (w *world) until(what string, least float64, name string, labels ...string) (m metrics) {
	w.t.Helper()
	devtest.Until(w.t, what, patienceOfTests, func() bool {
		m = w.scrape()
		// The rules take an instant for hours: a job that is slow just now is not one that stands.
		return m.families[name] != nil && m.sum(name, labels...) >= least && (w.jobsStand || m.sum("chartpost_worker_jobs_parked") == 0)
	})
	return m
}

// ended is until, and until no lane has a job: what the queue says of a lane is
// asked less often than outcomes are counted, and a job that has just ended must
// not seem to wait for hours.
func (w *world) ended(what string, least float64, name string, labels ...string) (m metrics) {
	w.t.Helper()
	w.until(what, least, name, labels...)
	devtest.Until(w.t, "no lane has a job", patienceOfTests, func() bool {
		m = w.scrape()
		return m.families["chartpost_lane_oldest_job_timestamp_seconds"] == nil && m.sum("chartpost_worker_jobs_parked") == 0
	})
	return m
}

// panicking runs a worker whose pipeline has a defect.
func panicking(w *world, _ func()) (before, after metrics) {
	watching := telemetry.New(telemetry.Settings{Destinations: 10})
	server := httptest.NewServer(watching.Handler(w.log.Logger()))
	w.t.Cleanup(server.Close)
	intake, err := w.queue.Intake(natsq.LaneSettings{Concurrency: 4, Lease: 30 * time.Second}, worker.Answers(4))
	if err != nil {
		w.t.Fatal(err)
	}
	control, err := w.queue.Control(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	bucket, err := w.queue.Ledger(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	requests, err := w.settings.Budget.open(w.t.Context(), w.queue, "panicking", w.log.Logger())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { requests.close() })
	settings := w.settings.Delivery.settings("panicking", "chartpost")
	settings.Telemetry = watching
	one := worker.New(settings, worker.Queue{Intake: intake, Outbox: w.queue.Outbox(), Control: control, Budget: requests},
		ledger.New(bucket, ledger.Patience), defective{Pipeline(nil, nil, w.settings.Redox, Files{}, Message{}, w.settings.Delivery)}, w.log.Logger())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); one.Run(ctx) }()
	w.t.Cleanup(func() { stop(); <-ended })
	address := server.Listener.Addr().String()
	scrape := func() metrics {
		m, err := w.tryScrape(address)
		if err != nil {
			w.t.Fatal(err)
		}
		return m
	}
	before = scrape()
	w.publish(w.files("job", 1)...)
	devtest.Until(w.t, "it panics", patienceOfTests, func() bool {
		after = scrape()
		return after.sum("chartpost_panics_total") > 0
	})
	return before, after
}

// defective panics when it is to deliver.
type defective struct{ worker.Deliverer }

func (defective) Deliver(context.Context, schemas.Class, pipeline.Understood, *job.Record, pipeline.RecordStore, pipeline.Progress) error {
	panic("a defect")
}
