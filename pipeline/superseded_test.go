package pipeline_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// TestSuperseded: once another worker has written to the record, nothing more
// is sent, wherever this one is.
func TestSuperseded(t *testing.T) {
	for _, at := range []string{"upload", "message"} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t)
			w.inject(redoxsim.MessageRequest, redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 1})
			var once sync.Once
			w.watch(func(what string) {
				if what == at {
					once.Do(func() {
						r, _ := w.found()
						r.Owner = "another"
						w.keep(r)
					})
				}
			})
			_, told, err := w.deliver(t.Context(), jobOf(schemas.Upload, w.put("a.txt", document(2000, "a"))))
			wantFault(t, err, fault.Superseded, "", "")
			w.took(1, 0)
			if at == "upload" && len(told.told) != 0 {
				t.Error("told of uploads that another worker owns")
			}
			if kept, _ := w.found(); kept.Owner != "another" {
				t.Error("the other worker's record was overwritten")
			}
		})
	}
}

// held is a way to Redox on which every job waits for its token.
type held struct {
	pipeline.Redox
	wait func()
}

func (h held) Authorize(ctx context.Context) error {
	h.wait()
	return h.Redox.Authorize(ctx)
}

// TestALongWaitIsFollowedByAProof: a worker that waited while another took its
// job uploads nothing; one whose job is its own goes on.
func TestALongWaitIsFollowedByAProof(t *testing.T) {
	for _, taken := range []bool{true, false} {
		t.Run(fmt.Sprintf("taken %t", taken), func(t *testing.T) {
			w := newWorld(t)
			waited := time.Duration(0)
			w.line = at(func() time.Time { return time.Now().Add(waited) }, w.source, held{w.gate, func() {
				waited = time.Minute
				if r, _ := w.found(); taken {
					r.Owner = "another"
					w.keep(r)
				}
			}})
			_, _, err := w.deliver(t.Context(), jobOf(schemas.Upload, w.put("a.txt", document(2000, "a"))))
			if taken {
				wantFault(t, err, fault.Superseded, "", "")
				w.took(0, 0)
				return
			}
			if err != nil {
				t.Error(err)
			}
			w.took(1, 1)
		})
	}
}
