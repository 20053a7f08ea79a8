package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
)

// operator looks and decides.
func (a *aviary) operator() {
	a.t.Helper()
	jobs := []string{"accepted", "missing", "refused", "unknown-a", "scheduled", "poison-0", "misaddressed"}
	for _, id := range jobs {
		a.do(cli.ExitOK, "status", id, "--since", "1h")
		a.do(cli.ExitOK, "status", id, "--json")
	}
	for _, args := range []string{
		"watch", "jobs ls", "jobs ls --json", "top --once", "top --once --json", "dead ls --list", "dead ls --summary --json", "lane ls", "lane ls --json", "lane budget", "lane budget --json", "lane limit live good-health 3", "lane limit live good-health none --json",
		"lane pause backfill good-health --for 1h --reason quiet", "lane resume backfill good-health --json",
		"events export", "events export --format csv", "dead ls", "dead ls --json", "dead ls --destination ~misaddressed",
		"dead show missing", "dead show missing --json", "dead show poison-0", "dead show misaddressed --json", "dead show missing --show-content",
		"dead replay --all --dry-run", "dead replay --all --dry-run --json", "dead resolve unknown-a --resend --yes", "dead resolve unknown-b --accepted --yes --json",
		"dead drop --status failed --dry-run", "audit ls", "audit ls --json", "check", "check --json", "version", "schema job.v1", "completion bash",
	} {
		if args == "watch" {
			a.watch()
			continue
		}
		a.do(cli.ExitOK, strings.Fields(args)...)
	}
	a.awaitEvent("unknown-a", "2/accepted")
	a.do(cli.ExitPartly, "dead", "replay", "--all", "--expires-in", "1h", "--yes")
	a.awaitEvent("missing", "2/failed")
	a.do(cli.ExitFailed, "dead", "replay", "poison-0", "--yes", "--json")
	a.do(cli.ExitOK, "dead", "drop", "misaddressed", "--reason", "a test", "--yes")
	a.do(cli.ExitOK, "dead", "drop", "--kind", "poison", "--reason", "a test", "--yes", "--json")
	a.do(cli.ExitOK, "names", "dead")
	a.do(cli.ExitOK, "names", "destinations")
	a.do(cli.ExitOK, "names", "runs")
	a.do(cli.ExitOK, "events", "subscribe", "journal", "--reason", "a test")
	a.do(cli.ExitOK, "events", "subscriptions", "--json")
	a.do(cli.ExitOK, "names", "subscriptions")
	a.do(cli.ExitOK, "events", "unsubscribe", "journal", "--yes", "--json")
}

// watch watches until it has said what became of a job.
func (a *aviary) watch() {
	a.t.Helper()
	for _, flags := range [][]string{nil, {"--json"}} {
		var out, errs devtest.Log
		cmd := exec.CommandContext(a.t.Context(), program(a.t), append([]string{"watch", "--since", "1h"}, flags...)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = a.environment(), &out, &errs
		if err := cmd.Start(); err != nil {
			a.t.Fatal(err)
		}
		devtest.Until(a.t, "the events are told", 2*time.Minute, func() bool { return strings.Count(out.String(), "failed") >= 4 })
		cmd.Process.Signal(os.Interrupt)
		if code := exitCode(a.t, cmd); code != cli.ExitOK {
			a.t.Errorf("watch was interrupted: exit code %d", code)
		}
		a.look("watch", out.String()+errs.String())
	}
	a.tried["watch"] = true
}

// archive delivers one, with faults.
func (a *aviary) archive() {
	a.t.Helper()
	template := a.file("template.yaml", bytes.ReplaceAll([]byte(faultyTemplate), []byte("key: \"{{ .key }}\""), []byte("key: \"{{ .key }}\", title: \""+canary+"\"")))
	const head = "id,last,born,key,hash\n"
	good := fmt.Sprintf("1,%[1]s,19700131,%[1]s/a.pdf,\n2,%[1]s,19700131,%[1]s/none.pdf,\n", canary)
	bad := fmt.Sprintf("%[1]s 3,%[1]s,19700131,%[1]s/a.pdf,\n4,%[1]s,%[1]s,%[1]s/a.pdf,\n5,\"%[1]s\"%[1]s,,,\n6,,19700131,%[1]s/a.pdf,%[1]s\n", canary)
	manifest, faulty := a.file(canary+"/archive.csv", []byte(head+good)), a.file(canary+"/faulty.csv", []byte(head+good+bad))
	plan := []string{"backfill", "plan", faulty, "--template", template, "--head"}
	a.do(cli.ExitUsage, plan...)
	a.do(cli.ExitUsage, append(plan, "--json")...)
	a.do(cli.ExitUsage, "backfill", "run", faulty, "--template", template, "--id", "faulty")
	a.do(cli.ExitNotAccepted, "backfill", "run", faulty, "--template", template, "--id", "skipped", "--skip-faulty")
	a.do(cli.ExitNotAccepted, "backfill", "report", "skipped", faulty, "--template", template, "--out", filepath.Join(a.dir, "report.csv"))
	a.do(cli.ExitNotAccepted, "backfill", "report", "skipped", faulty, "--template", template, "--out", filepath.Join(a.dir, "report.ndjson"), "--json")
	a.do(cli.ExitUsage, "backfill", "run", manifest, "--template", template, "--id", "skipped") // another manifest
	for _, name := range []string{"report.csv", "report.ndjson"} {
		data, err := os.ReadFile(filepath.Join(a.dir, name))
		if err != nil || len(data) < 200 {
			a.t.Errorf("%v, %d bytes", err, len(data))
		}
		a.look("a report", string(data))
	}
	a.do(cli.ExitOK, "backfill", "status")
	a.do(cli.ExitOK, "backfill", "status", "skipped", "--json")
	a.do(cli.ExitOK, "lane", "pause", "backfill", "good-health", "--for", "1h", "--reason", "quiet")
	a.do(cli.ExitOK, "backfill", "run", manifest, "--template", template, "--id", "cancelled", "--no-follow")
	a.do(cli.ExitOK, "backfill", "pause", "cancelled")
	a.do(cli.ExitOK, "backfill", "resume", "cancelled")
	a.do(cli.ExitOK, "backfill", "cancel", "cancelled", "--reason", "a test", "--yes")
	a.do(cli.ExitOK, "backfill", "forget", "skipped", "--reason", "a test", "--yes")
}

// mistakes are arguments and files that are wrong.
func (a *aviary) mistakes() {
	a.t.Helper()
	missing, junk := filepath.Join(a.dir, canary+".json"), a.file(canary+"/junk.json", []byte(canary))
	broken := a.file(canary+"/broken.json", bytes.Replace(planted("broken", canary), []byte(`"birthDate"`), []byte(`"birth`+canary+`"`), 1))
	foreign := a.file(canary+"/foreign.json", bytes.Replace(planted("foreign", canary), []byte(`"files"`), []byte(`"`+canary+`":1,"files"`), 1))
	for _, job := range []string{missing, junk, broken, foreign} {
		a.do(cli.ExitUsage, "send", job)
		a.do(cli.ExitUsage, "preview", job)
	}
	a.do(cli.ExitOK, "preview", a.file("fine.json", planted("fine", aFile)))
	a.do(cli.ExitFailed, "preview", a.file("gone.json", planted("gone", canary+"/none.pdf")))
	a.crookedStore()
	for _, patient := range []string{missing, junk} {
		a.do(cli.ExitUsage, "send", "--to", "good-health", "--patient", patient, "--upload", missing, "--bucket", "reports")
	}
	a.do(cli.ExitUsage, "status", canary+".pdf")
	a.do(cli.ExitUsage, "dead", "show", canary+"/x/y")
	a.do(cli.ExitUsage, "dead", "drop", canary+"/x/y", "--reason", "a test", "--yes")
	a.do(cli.ExitUsage, "backfill", "plan", missing, "--template", junk)
	a.do(cli.ExitUsage, "backfill", "pause", canary+"/x")
}

// crookedStore is read by a command: a store that sends the body of its error
// on HEAD too, which nobody asked for, and a date that is none.
func (a *aviary) crookedStore() {
	a.t.Helper()
	var asked atomic.Int32
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			asked.Add(1)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			a.t.Error(err)
			return
		}
		defer conn.Close()
		body := fmt.Sprintf("<Error><Code>NoSuchKey</Code><Message>%[1]s</Message><Key>%[1]s</Key></Error>", canary)
		fmt.Fprintf(conn, "HTTP/1.1 404 Not Found\r\nDate: %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s", canary, len(body), body)
	}))
	defer store.Close()
	two := bytes.Replace(planted("crooked", canary+"/a.pdf"), []byte(`"files":[`), []byte(`"files":[{"bucket":"reports","key":"`+canary+`/b.pdf"},`), 1)
	a.do(cli.ExitFailed, "preview", "--s3-endpoint", store.URL, a.file("crooked.json", two))
	if asked.Load() == 0 {
		a.t.Error("the store was asked for no HEAD: nothing is proven by it")
	}
}

// endpoints are read while a job is in hand, whose content is then in memory.
func (a *aviary) endpoints() {
	a.t.Helper()
	a.fault(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.DelayAnswer, Delay: 20 * time.Second})
	a.publish("chartpost.jobs.live.good-health", planted("slow", aFile))
	at := regexp.MustCompile(`"http":"([^"]+)"`).FindStringSubmatch(a.log.String())
	if at == nil {
		a.t.Fatal("the worker does not say where it answers")
	}
	inHand := regexp.MustCompile(`(?m)^chartpost_worker_jobs_in_hand 1$`)
	devtest.Until(a.t, "the job is in hand", 2*time.Minute, func() bool { return inHand.MatchString(a.get(at[1], "/metrics")) })
	a.look("HTTP", answers(a.t, a.log))
	for _, path := range []string{"/debug/pprof/heap?debug=1", "/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/goroutine", "/debug/pprof/trace?seconds=0.2", "/debug/pprof/profile?seconds=1"} {
		text := a.get(at[1], path)
		if unpacked, err := gzip.NewReader(strings.NewReader(text)); err == nil {
			plain, err := io.ReadAll(unpacked)
			if err != nil {
				a.t.Errorf("%s: %v", path, err)
			}
			text = string(plain)
		}
		if len(text) < 200 {
			a.t.Errorf("%s answers %d bytes", path, len(text))
		}
		a.look(path, text)
	}
}

func (a *aviary) get(at, path string) string {
	a.t.Helper()
	resp, err := http.Get("http://" + at + path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(body)
}

// TestADefectIsTold: a panic of a command is told by the type of its value and by
// its place, and the value, which may be about a patient, is not.
func TestADefectIsTold(t *testing.T) {
	for _, value := range []any{canary, errors.New(canary), fmt.Errorf("%w", errors.New(canary)), []byte(canary)} {
		var errs bytes.Buffer
		code := run(t.Context(), []string{"version"}, cli.Streams{Out: jammed{value}, Err: &errs})
		said := errs.String()
		if code != cli.ExitFailed || !strings.Contains(said, fmt.Sprintf("a panic with a %T", value)) || !strings.Contains(said, "small.go") {
			t.Errorf("exit code %d: %s", code, said)
		}
		if strings.Contains(said, canary) {
			t.Error(said)
		}
	}
}

// jammed is a writer with a defect.
type jammed struct{ value any }

func (j jammed) Write([]byte) (int, error) { panic(j.value) }
