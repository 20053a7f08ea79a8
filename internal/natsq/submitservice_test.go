package natsq

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/chartpost/chartpost/schemas"
)

// refusing is a handler that refuses every job at once.
type refusing struct{}

func (refusing) Admit(string) bool { return true }

func (refusing) Submit(context.Context, schemas.Lane, []byte) Answer {
	return Answer{Status: 422, Code: "job_invalid", Body: map[string]any{"status": 422}}
}

func (r refusing) Status(ctx context.Context, _ schemas.JobKey) Answer {
	return r.Submit(ctx, schemas.Lane{}, nil)
}

// TestSubmitServiceEndsWhileRequestsCome: what is answered is whole, and the end of the
// service waits for no request that comes after it.
func TestSubmitServiceEndsWhileRequestsCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		service, err := w.ServeSubmit(refusing{}, 4, "test")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		answered := make(chan struct{}, 1)
		for i := range 4 {
			callers.Go(func() {
				for ctx.Err() == nil {
					m, err := w.nc.RequestWithContext(ctx, fmt.Sprintf("%s.submit.live.%d", w.prefix, i), []byte("{}"))
					if err != nil {
						continue // it has ended
					}
					if code := m.Header.Get(micro.ErrorCodeHeader); code != "422" || m.Header.Get(micro.ErrorHeader) != "job_invalid" || !json.Valid(m.Data) {
						t.Errorf("%s: %q", m.Header, m.Data)
					}
					select {
					case answered <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 20 {
			<-answered
		}
		ending, cancel := context.WithTimeout(t.Context(), time.Minute)
		service.Stop(ending)
		if ending.Err() != nil {
			t.Error("its end waited for a minute")
		}
		cancel()
		stop()
		callers.Wait()
	}
}
