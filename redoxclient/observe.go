package redoxclient

import (
	"net/http"
	"time"
)

// Observe is told of a request when the head of its answer has come, or it has
// failed: what it was for, the answer's status or 0 for none, and how long that
// took. It returns at once.
type Observe func(op Op, status int, took time.Duration)

func (o Observe) tell(op Op, resp *http.Response, took time.Duration) {
	if o == nil {
		return
	}
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	o(op, status, took)
}
