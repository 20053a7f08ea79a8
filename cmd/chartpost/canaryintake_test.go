package main

import (
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// intake runs an intake, and lets a caller send it jobs with canaries, good and bad.
func (a *aviary) intake() {
	a.t.Helper()
	a.tried["intake"] = true
	log := &devtest.Log{}
	cmd := exec.Command(program(a.t), "intake", "--intake-addr", "127.0.0.1:0", "--log-level", "debug", "--uploads", "reports/incoming/")
	cmd.Env, cmd.Stdout, cmd.Stderr = a.environment(), log, log
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { cmd.Process.Kill() })
	addr := ""
	devtest.Until(a.t, "the intake is ready", time.Minute, func() bool {
		_, line, ready := strings.Cut(log.String(), `"msg":"intake ready"`)
		_, rest, _ := strings.Cut(line, `"http":"`)
		addr, _, _ = strings.Cut(rest, `"`)
		return ready && addr != ""
	})
	for _, one := range []struct {
		method, path string
		body         []byte
		want         int
	}{
		{"PUT", "/v1/jobs/by-http", planted("by-http", canary+".pdf"), http.StatusAccepted},
		{"PUT", "/v1/jobs/by-http", append(planted("by-http", canary+".pdf"), ' '), http.StatusConflict},
		{"POST", "/v1/jobs", []byte(`{"` + canary + `":"` + canary + `"}`), http.StatusUnprocessableEntity},
		{"POST", "/v1/files?name=" + canary + ".exe", []byte("MZ" + canary), http.StatusUnprocessableEntity},
		{"GET", "/v1/jobs/by-http", nil, http.StatusOK},
		{"GET", "/v1/" + canary, nil, http.StatusNotFound},
	} {
		r, err := http.NewRequestWithContext(a.t.Context(), one.method, "http://"+addr+one.path, bytes.NewReader(one.body))
		if err != nil {
			a.t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			a.t.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != one.want {
			a.t.Errorf("%s %s: %d, %v: %s", one.method, one.path, resp.StatusCode, err, said)
		}
		a.look("an answer of the intake", string(said))
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if code := exitCode(a.t, cmd); code != cli.ExitOK {
		a.t.Errorf("the intake: exit code %d\n%s", code, log.Tail())
	}
	a.look("the intake's log", log.String())
}
