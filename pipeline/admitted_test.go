package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// clocked notes when the right to each request was given.
type clocked struct {
	pipeline.Redox
	times []time.Time
}

func (c *clocked) Upload(ctx context.Context, p pipeline.UploadRequest) (string, error) {
	c.times = append(c.times, p.AdmittedAt)
	return c.Redox.Upload(ctx, p)
}

func (c *clocked) Send(ctx context.Context, l pipeline.MessageRequest) (schemas.Receipt, error) {
	c.times = append(c.times, l.AdmittedAt)
	return c.Redox.Send(ctx, l)
}

// Each request says when it was allowed: the first one of a file or a message and
// each repeat in the slot.
func TestEveryRequestSaysWhenItWasAllowed(t *testing.T) {
	w := newWorld(t)
	w.inject(redoxsim.UploadRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 1})
	w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 1})
	way := &clocked{Redox: w.gate}
	w.line = w.through(way)
	before := time.Now()
	if _, _, err := w.deliver(t.Context(), jobOf(schemas.Upload, w.put("a.txt", document(2000, "a")))); err != nil {
		t.Fatal(err)
	}
	if len(way.times) != 4 {
		t.Fatalf("%d requests, want 4", len(way.times))
	}
	last := before
	for i, at := range way.times {
		if !at.After(last) || at.After(time.Now()) {
			t.Errorf("request %d was allowed at %s, after %s", i+1, at, last)
		}
		last = at
	}
}
