package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

// canary is a word that stands for patient data. It is in every value of a job
// and of Redox's answers, and must be in nothing that Chartpost tells.
const canary = "KANARIENVOGEL"

// aviary looks for the canary in all that comes by.
type aviary struct {
	*bench
	// tried are the commands that were run, seen the messages that were read by
	// where they were found.
	tried map[string]bool
	mu    sync.Mutex
	seen  map[string]int
}

func (a *aviary) look(where, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[where]++
	if i := strings.Index(strings.ToUpper(text), canary); i >= 0 {
		a.t.Errorf("patient data in %s: …%s…", where, text[max(i-160, 0):min(i+40, len(text))])
	}
}

// do runs a command and reads all that it says.
func (a *aviary) do(want int, args ...string) string {
	a.t.Helper()
	out, errs := a.run(want, "", args...)
	a.note(args)
	// Two commands print a job or its message, on demand and nowhere else.
	if !slices.Contains(args, "--show-content") && args[0] != "preview" {
		a.look(strings.Join(args[:min(2, len(args))], " "), out)
	} else if want == cli.ExitOK && !strings.Contains(out, canary) {
		a.t.Errorf("%v shows no content: nothing can be proven by its absence elsewhere", args)
	}
	a.look(strings.Join(args[:min(2, len(args))], " "), errs)
	return out + errs
}

// note remembers which command args are.
func (a *aviary) note(args []string) {
	a.tried[args[0]] = true
	if len(args) > 1 {
		a.tried[args[0]+" "+args[1]] = true
	}
}

// listen reads every record, event and header as it is stored, also those that
// are replaced or removed later.
func (a *aviary) listen() {
	a.t.Helper()
	nc, err := nats.Connect(variable(a.env, "CHARTPOST_NATS_URL"), nats.Timeout(time.Minute))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(nc.Close)
	whole := func(where string) nats.MsgHandler {
		return func(m *nats.Msg) { a.look(where, m.Subject+fmt.Sprint(m.Header)+string(m.Data)) }
	}
	// These hold the job as it came; what is ours is the headers.
	ours := func(where string) nats.MsgHandler {
		return func(m *nats.Msg) { a.look(where, m.Subject+fmt.Sprint(m.Header)) }
	}
	for subject, handler := range map[string]nats.MsgHandler{
		"chartpost.events.>": whole("an event"), "chartpost.audit.>": whole("the audit"),
		"$KV.CHARTPOST_LEDGER.>": whole("the ledger"), "$KV.CHARTPOST_CONTROL.>": whole("the control bucket"),
		"$KV.CHARTPOST_OUTCOMES.>": whole("the bucket of outcomes"),
		"chartpost.dead.>":         ours("a dead letter's headers"), "chartpost.later.>": ours("a schedule's headers"),
	} {
		if _, err := nc.Subscribe(subject, handler); err != nil {
			a.t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		a.t.Fatal(err)
	}
}

// TestNoPatientDataInTheCommands sends jobs full of canaries to every end, lets
// an operator use every command on them, and reads what the commands say, the
// audit, and all that the worker writes, answers and sends to a collector.
func TestNoPatientDataInTheCommands(t *testing.T) {
	t.Parallel()
	a := &aviary{bench: newBench(t), tried: map[string]bool{}, seen: map[string]int{}}
	a.env = append(a.env, "CHARTPOST_LOG_LEVEL=debug")
	a.do(cli.ExitOK, "setup")
	a.do(cli.ExitOK, "setup", "--json")
	a.listen()
	stop := a.worker("CHARTPOST_ON_UNKNOWN=resend")
	a.tried["worker"] = true
	a.scheduled()
	stop()
	a.look("the first worker's log", a.log.String())
	stop = a.worker()
	a.jobs()
	a.operator()
	a.intake()
	a.outcomes()
	a.archive()
	a.mistakes()
	a.endpoints()
	stop()
	a.look("the worker's log", a.log.String())
	a.look("the spans", a.spans.text())

	for where, least := range map[string]int{
		"an event": 15, "the audit": 20, "the ledger": 15, "the control bucket": 3, "the bucket of outcomes": 3, "a dead letter's headers": 7, "a schedule's headers": 1,
	} {
		if a.seen[where] < least {
			t.Errorf("%s was read %d times: too little to prove anything", where, a.seen[where])
		}
	}
	if len(a.log.String()) < 5000 || len(a.spans.text()) < 5000 {
		t.Errorf("a log of %d bytes and spans of %d: too little to prove anything", len(a.log.String()), len(a.spans.text()))
	}
	parser, _, err := new(CLI).commandLine().Parser()
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(false) {
		if name := strings.TrimPrefix(leaf.FullPath(), "chartpost "); !a.tried[name] {
			t.Errorf("nobody looked for patient data in what `%s` says", name)
		}
	}
}

// planted is a job with the canary in every kind of value.
func planted(id, key string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2026-11-20T10:00:00Z","expires_at":%q,
		"destination":{"slug":"good-health","environment":"Development"},
		"files":[{"bucket":"reports","key":%q,"title":"%[4]s.pdf","content_type":"application/pdf"}],
		"message":{"patient":{"resourceType":"Patient","id":"%[4]s","identifier":[{"system":"urn:%[4]s","value":"%[4]s"}],"name":[{"family":"%[4]s","given":["%[4]s"]}],
		"gender":"female","birthDate":"1970-01-01","address":[{"text":"%[4]s"}]},
		"resource":{"resourceType":"DocumentReference","status":"current","description":"%[4]s","identifier":[{"value":"%[4]s"}]}}}`, id, never, key, canary)
}

// send sends a job full of canaries.
func (a *aviary) send(want int, id, key string, flags ...string) {
	a.t.Helper()
	a.do(want, append([]string{"send", a.file(canary+"/"+id+".json", planted(id, key))}, flags...)...)
}

// refuse makes Redox fail once, with canaries in what it says.
func (a *aviary) refuse(action redoxsim.Action, status int) {
	a.t.Helper()
	a.fault(redoxsim.Fault{
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: action, Status: status,
		Header: map[string]string{"Redox-Trace-Id": canary + " x", "Content-Type": "text/" + canary},
		Body:   fmt.Sprintf(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"%[1]s","diagnostics":"%[1]s","details":{"text":"%[1]s"}}]}`, canary),
	})
}

// types sends files of types that were made up, by who says so.
func (a *aviary) types() {
	a.t.Helper()
	const pdf, own, key = `,"content_type":"application/pdf"`, "text/" + canary, canary + "/a.txt"
	job := func(id, was, is string) string {
		data := planted(id, key)
		if !bytes.Contains(data, []byte(pdf)) || !bytes.Contains(data, []byte(was)) {
			a.t.Fatal("the planted job is another")
		}
		data = bytes.Replace(data, []byte(was), []byte(is), 1)
		return a.file(canary+"/"+id+".json", bytes.Replace(data, []byte(pdf), nil, 1))
	}
	text := a.file(canary+"/a.txt", []byte("a text\n"))
	a.do(cli.ExitOK, "send", job("type-of-the-job", pdf, `,"content_type":"`+own+`"`), "--upload", text) // the object is of this type too
	a.do(cli.ExitOK, "send", job("type-of-the-store", pdf, ""))
	a.do(cli.ExitOK, "send", job("type-of-the-message", `"status":"current"`, `"status":"current","content":[{"attachment":{"contentType":"`+own+`"}}]`))
}

// aFile is the key of an object that is there once scheduled was called.
const aFile = canary + "/a.pdf"

// scheduled brings a job to its end by a schedule.
func (a *aviary) scheduled() {
	a.t.Helper()
	a.refuse(redoxsim.CutAfterProcessing, 0)
	a.send(cli.ExitOK, "scheduled", aFile, "--upload", a.file(canary+"/"+canary+".pdf", samples.Documents()[0].Bytes))
}

// jobs brings jobs to every other end.
func (a *aviary) jobs() {
	a.t.Helper()
	send, fault, key := a.send, a.refuse, aFile
	document := filepath.Join(a.dir, canary, canary+".pdf")
	send(cli.ExitOK, "accepted", key, "--upload", document)
	send(cli.ExitOK, "accepted-json", key, "--json")
	a.do(cli.ExitOK, "send", "--to", "good-health", "--patient", a.file(canary+"/patient.json", samples.Patient()), "--upload", document, "--bucket", "reports", "--title", canary, "--id", "flags")
	send(cli.ExitNotAccepted, "missing", canary+"/none.pdf")
	send(cli.ExitNotAccepted, "missing-json", canary+"/none.pdf", "--json")
	fault(redoxsim.StatusAfterBody, 400)
	send(cli.ExitNotAccepted, "refused", key)
	fault(redoxsim.CutAfterProcessing, 0)
	send(cli.ExitNotAccepted, "unknown-a", key)
	fault(redoxsim.AnswerUnreadable, 0)
	send(cli.ExitNotAccepted, "unknown-b", key)
	// What Redox sends unasked net/http tells to the standard logger.
	fault(redoxsim.AnswerOverlong, 0)
	send(cli.ExitOK, "overlong", key)
	fault(redoxsim.AnswerOverlong, 204)
	send(cli.ExitOK, "overlong-204", key)
	devtest.Until(a.t, "the log tells of what came unasked", 2*time.Minute, func() bool {
		return strings.Contains(a.log.String(), "a library wrote to the standard log")
	})
	a.types()
	for i, poison := range []string{
		`{"id":"poison-0","` + canary + `":"` + canary + `","files":[{"` + canary + `":1}]}`, canary,
	} {
		a.publish("chartpost.jobs.live.good-health", []byte(poison), "Nats-Msg-Id", fmt.Sprint("poison-", i), schemas.HeaderTrace, canary)
	}
	a.publish("chartpost.jobs.live."+canary+"_", planted("misaddressed", key))
	a.awaitEvent("misaddressed", "1/failed")
	devtest.Until(a.t, "what cannot be read is buried", 2*time.Minute, func() (buried bool) {
		a.each("CHARTPOST_DEAD", func(m *jetstream.RawStreamMsg) { buried = buried || m.Header.Get(natsq.HeaderJobID) == "poison-0" })
		return buried
	})
}
