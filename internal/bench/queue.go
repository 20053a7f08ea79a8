package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/schemas"
)

const prefix = "chartpost"

// queue is one nats-server or three, in processes of their own, and a connection.
type queue struct {
	servers []*devstack.ServerProcess
	// stop ends the servers.
	stop func() error
	dir  string
	conn *nats.Conn
	js   jetstream.JetStream
	// failed has the first thing that keeps the jobs from coming to their end.
	failed chan error
}

func (q *queue) connect() (err error) {
	if q.conn, err = nats.Connect(q.url()); err != nil {
		return err
	}
	q.js, err = jetstream.New(q.conn, jetstream.WithPublishAsyncMaxPending(4000),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { offer(q.failed, err) }))
	return err
}

func (q *queue) close() error {
	if q.conn != nil {
		q.conn.Close()
	}
	return errors.Join(q.stop(), os.RemoveAll(q.dir))
}

// url names all servers.
func (q *queue) url() string {
	var all []string
	for _, server := range q.servers {
		all = append(all, server.URL())
	}
	return strings.Join(all, ",")
}

func (q *queue) pids() []int {
	var all []int
	for _, server := range q.servers {
		all = append(all, server.PID())
	}
	return all
}

// countEvery is how often the consumers of the jobs stream are counted.
const countEvery = 250 * time.Millisecond

// mostConsumers counts the consumers of the jobs stream until ctx ends, and gives the
// most that were there at once.
func (q *queue) mostConsumers(ctx context.Context) <-chan int {
	result := make(chan int, 1)
	go func() {
		most := 0
		defer func() { result <- most }()
		tick := time.NewTicker(countEvery)
		defer tick.Stop()
		for {
			if stream, err := q.js.Stream(ctx, schemas.StreamName(prefix, "JOBS")); err == nil {
				most = max(most, stream.CachedInfo().State.Consumers)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return result
}

// order is jobs to publish.
type order struct {
	// start begins their ids.
	start    string
	jobs     int
	lanes    int
	key      string
	transfer schemas.Transfer
}

const messageJSON = `{"patient":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"},` +
	`"resource":{"resourceType":"DocumentReference","status":"current"}}`

// job is the n-th of an order: the lanes get theirs by turns.
func (o order) job(n int) schemas.Job {
	return schemas.Job{
		ID: fmt.Sprintf("%s-%d", o.start, n), Operation: "documentreference-create", Transfer: o.transfer,
		Files:       []schemas.File{{Bucket: bucket, Key: o.key, ContentType: "application/pdf"}},
		Destination: schemas.Destination{Slug: fmt.Sprintf("bench-%d", n%o.lanes), Environment: schemas.Development},
		Message:     json.RawMessage(messageJSON), RequestedAt: time.Now().UTC().Truncate(time.Second),
	}
}

// publish sends an order without waiting for one confirmation after the other,
// and returns when NATS has confirmed all.
func (q *queue) publish(ctx context.Context, o order) error {
	for n := range o.jobs {
		if err := q.publishOne(o.job(n)); err != nil {
			return err
		}
	}
	_, err := await(ctx, q.js.PublishAsyncComplete(), q.failed)
	return err
}

func (q *queue) publishOne(job schemas.Job) error {
	data, err := json.Marshal(job)
	if err != nil {
		return err
	}
	lane := schemas.Lane{Class: schemas.Live, Destination: job.Destination.Address()}
	_, err = q.js.PublishMsgAsync(&nats.Msg{Subject: schemas.JobSubject(prefix, lane), Data: data},
		jetstream.WithStallWait(longest))
	return err
}

// count calls each with the number of accepted events so far, as they are
// published. It asks the server for no consumer, whose work would be measured
// too. Any other event but of an upload, or of what else may pass, is a failure.
func (q *queue) count(each func(n int), passing ...schemas.Status) error {
	n := 0
	sub, err := q.conn.Subscribe(prefix+".events.*.*.*", func(m *nats.Msg) {
		switch status := schemas.Status(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]); {
		case status == schemas.StatusAccepted:
			n++
			each(n)
		case status != schemas.StatusUploaded && !slices.Contains(passing, status):
			offer(q.failed, fmt.Errorf("a job has become %s: %s", status, m.Data))
		}
	})
	if err != nil {
		return err
	}
	return errors.Join(sub.SetPendingLimits(-1, -1), q.conn.Flush())
}
