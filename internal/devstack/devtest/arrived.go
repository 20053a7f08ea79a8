package devtest

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// arriveTime is how long due jobs may take to their lanes. The server sources again
// only some seconds after a restart.
const arriveTime = 2 * time.Minute

// Arrived waits until every due job that was published before the call is in its
// lane, and gone from where it came.
func Arrived(t testing.TB, js jetstream.JetStream, prefix string) {
	t.Helper()
	InLane(t, js, prefix)
	due, err := js.Stream(t.Context(), strings.ToUpper(prefix)+"_DUE")
	if err != nil {
		t.Fatal(err)
	}
	Until(t, "no due job is on its way", arriveTime, func() bool {
		info, err := due.Info(t.Context(), jetstream.WithSubjectFilter(prefix+".due.>"))
		return err == nil && len(info.State.Subjects) == 0
	})
}

// InLane waits until every due job that was published before the call is in its
// lane; the server removes it from where it came up to a second later. It sends one
// of its own after them, and removes that from the lane again: the server moves them
// in order.
func InLane(t testing.TB, js jetstream.JetStream, prefix string) {
	t.Helper()
	jobs, err := js.Stream(t.Context(), strings.ToUpper(prefix)+"_JOBS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), prefix+".due.live.arrived", nil); err != nil {
		t.Fatal(err)
	}
	Until(t, "a due job is in its lane", arriveTime, func() bool {
		last, err := jobs.GetLastMsgForSubject(t.Context(), prefix+".jobs.live.arrived")
		return err == nil && jobs.DeleteMsg(t.Context(), last.Sequence) == nil
	})
}
