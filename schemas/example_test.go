package schemas_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/schemas"
)

// A job is built, checked and published. JetStream's answer says that it is stored.
func Example_publish() {
	js, stop := queue("CHARTPOST_JOBS", "chartpost.jobs.*.*")
	defer stop()
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	data, err := json.Marshal(schemas.Job{
		ID:          "lab-2026-000123",
		Operation:   schemas.DocumentReferenceCreate,
		Destination: schemas.Destination{Slug: "good_health", Environment: schemas.Development},
		Files:       []schemas.File{{Bucket: "reports", Key: "2026/11/000123.pdf"}},
		Message: json.RawMessage(`{
			"patient": {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.3", "value": "MRN-1"}]},
			"resource": {"resourceType": "DocumentReference", "status": "current"}}`),
		RequestedAt: at,
		ExpiresAt:   at.Add(schemas.DefaultLifetime),
	})
	if err != nil {
		log.Fatal(err)
	}
	job, err := schemas.DecodeJob(data) // what breaks the schema fails here, not at the worker
	if err != nil {
		log.Fatal(err)
	}
	subject := schemas.JobSubject("chartpost", schemas.Lane{Class: schemas.Live, Destination: job.Destination.Address()})
	ack, err := js.Publish(context.Background(), subject, data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(subject)
	fmt.Println("stored:", ack.Sequence, ack.Stream)
	// Output:
	// chartpost.jobs.live.good_5Fhealth
	// stored: 1 CHARTPOST_JOBS
}

// Events are followed until the one that is final. An operator makes the durable
// consumer by `chartpost events subscribe NAME`; here the example does.
func Example_follow() {
	js, stop := queue("CHARTPOST_EVENTS", "chartpost.events.*.*.*")
	defer stop()
	ctx := context.Background()
	told(js, schemas.StatusUploaded)
	told(js, schemas.StatusAccepted)
	consumer, err := js.CreateConsumer(ctx, "CHARTPOST_EVENTS", jetstream.ConsumerConfig{Durable: "outcomes", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		log.Fatal(err)
	}
	for final := false; !final; {
		msg, err := consumer.Next()
		if err != nil {
			log.Fatal(err)
		}
		event, err := schemas.DecodeEvent(msg.Data())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.ID, event.Data.Status)
		final = event.Data.Status.Final()
		if err := msg.Ack(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// good-health/lab-2026-000123/1/uploaded uploaded
	// good-health/lab-2026-000123/1/accepted accepted
}

// What breaks the schema is told by path and rule, never by value.
func ExampleDecodeJob() {
	_, err := schemas.DecodeJob([]byte(`{"id": "lab-2026-000123", "operation": "documentreference-create"}`))
	if invalid, ok := errors.AsType[*schemas.Invalid](err); ok {
		for _, problem := range invalid.Problems[:2] {
			fmt.Println(problem.Path, problem.Code)
		}
	}
	// Output:
	// /destination required
	// /files required
}

// told publishes an event, as a worker does.
func told(js jetstream.JetStream, status schemas.Status) {
	lane := schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	about := schemas.EventData{
		JobID: "lab-2026-000123", Operation: schemas.DocumentReferenceCreate, Class: lane.Class, Destination: lane.Destination, Status: status, Attempt: 1,
	}
	if status == schemas.StatusAccepted {
		about.Receipt = &schemas.Receipt{Status: 200}
	}
	event := schemas.NewEvent("chartpost", about, time.Date(2026, 11, 20, 10, 0, 1, 0, time.UTC))
	data, err := json.Marshal(event)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := js.Publish(context.Background(), schemas.EventSubject("chartpost", lane, status), data); err != nil {
		log.Fatal(err)
	}
}

// queue is a NATS server with one stream; `chartpost setup` makes the real ones.
func queue(name, subjects string) (js jetstream.JetStream, stop func()) {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	server, err := devstack.StartNATS(devstack.NATSOptions{Dir: dir, Port: -1})
	if err != nil {
		log.Fatal(err)
	}
	nc, err := nats.Connect("", server.InProcess())
	if err != nil {
		log.Fatal(err)
	}
	if js, err = jetstream.New(nc); err != nil {
		log.Fatal(err)
	}
	if _, err := js.CreateStream(context.Background(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}}); err != nil {
		log.Fatal(err)
	}
	return js, func() { nc.Close(); server.Close(); os.RemoveAll(dir) }
}
