package devtest

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// arriveTime is how long due jobs may take to their lanes. The server sources anew
// only some seconds after a restart.
const arriveTime = 2 * time.Minute

// Arrived waits until every due job that was published before the call is in its
// lane. It sends one of its own after them, and removes that again: the server moves
// them in order.
func Arrived(t testing.TB, js jetstream.JetStream, prefix string) {
	t.Helper()
	ctx, upper := t.Context(), strings.ToUpper(prefix)
	due, err := js.Stream(ctx, upper+"_DUE")
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := js.Stream(ctx, upper+"_JOBS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, prefix+".due.live.arrived", nil); err != nil {
		t.Fatal(err)
	}
	Until(t, "a due job is in its lane", arriveTime, func() bool {
		last, err := jobs.GetLastMsgForSubject(ctx, prefix+".jobs.live.arrived")
		return err == nil && jobs.DeleteMsg(ctx, last.Sequence) == nil
	})
	Until(t, "no due job is on its way", arriveTime, func() bool {
		info, err := due.Info(ctx, jetstream.WithSubjectFilter(prefix+".due.>"))
		return err == nil && len(info.State.Subjects) == 0
	})
}
