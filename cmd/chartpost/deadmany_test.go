package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
)

// TestUnreadableMessageByItsName: a message in which no id can be read is found by the
// name that its event gives it.
func TestUnreadableMessageByItsName(t *testing.T) {
	b := newBench(t)
	b.run(cli.ExitOK, "", "setup")
	stop := b.worker()
	b.publish("chartpost.jobs.live.good-health", []byte("{\"note\": \"Zebedee\""))
	const name = "unreadable-1"
	b.awaitEvent(name, "0/failed")
	stop()
	for _, c := range []struct{ args, want string }{
		{"dead ls --list", " " + name + " "},
		{"dead show " + name, "job          " + name},
		{"dead show good-health/" + name, "job          " + name},
		{"status " + name, name + ": dead"},
		{"dead drop " + name + " --dry-run", name + ": would be dropped"},
	} {
		out, errs := b.run(cli.ExitOK, "", strings.Fields(c.args)...)
		if !strings.Contains(out, c.want) || strings.Contains(out+errs, "Zebedee") {
			t.Errorf("%s: %s%s", c.args, out, errs)
		}
	}
}

// TestDeadLsOfManyLetters: 100,000 letters are counted from their headers alone. It takes
// less than 2 s on two quiet cores; the test bounds what a busy machine takes.
func TestDeadLsOfManyLetters(t *testing.T) {
	b := newBench(t)
	b.run(cli.ExitOK, "", "setup")
	const letters = 100_000
	for i := range letters {
		m := nats.NewMsg(fmt.Sprintf("chartpost.dead.backfill.clinic-%d", i%50))
		m.Data = make([]byte, 1500)
		m.Header.Set(natsq.HeaderJobID, fmt.Sprint("job-", i))
		m.Header.Set(natsq.HeaderStatus, "failed")
		m.Header.Set(natsq.HeaderReasonKind, "permanent")
		m.Header.Set(natsq.HeaderReasonCode, fmt.Sprint("code_", i%7))
		m.Header.Set(natsq.HeaderReasonText, "the object store has no object under that key")
		if _, err := b.js.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 {
			<-b.js.PublishAsyncComplete()
		}
	}
	<-b.js.PublishAsyncComplete()
	for _, args := range []string{"dead ls", "dead ls --list", "dead ls --code code_3 --summary --json"} {
		began := time.Now()
		out, _ := b.run(cli.ExitOK, "", strings.Fields(args)...)
		took := time.Since(began)
		t.Logf("%s: %s", args, took.Round(time.Millisecond))
		if took > 20*time.Second || strings.Count(out, "\n") < 50 {
			t.Errorf("%s: %s, %d lines", args, took, strings.Count(out, "\n"))
		}
	}
}
