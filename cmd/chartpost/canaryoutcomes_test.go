package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// outcomes follows messages in Redox's logs, which have canaries wherever Redox may
// write a name or a text.
func (a *aviary) outcomes() {
	a.t.Helper()
	a.do(cli.ExitOK, "outcome", "setup")
	note := bytes.Replace(planted("named", aFile), []byte("documentreference-create"), []byte("notes-new"), 1)
	note = bytes.Replace(note, []byte(`"slug":"good-health"`), []byte(`"id":"other"`), 1)
	at := bytes.Index(note, []byte(`"message":`))
	note = append(note[:at], `"message":{"Patient":{"Identifiers":[{"ID":"`+canary+`","IDType":"MR"}],"Demographics":{"LastName":"`+canary+`"}},`+
		`"Note":{"DocumentType":"`+canary+`","DocumentID":"d1","Provider":{"ID":"`+canary+`"}}}}`...)
	a.do(cli.ExitOK, "send", a.file(canary+"/named.json", note))
	log := &devtest.Log{}
	cmd := exec.Command(program(a.t), "outcome", "follow", "--log-level", "debug")
	cmd.Env, cmd.Stdout, cmd.Stderr = a.environment(), log, log
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { cmd.Process.Kill() })
	devtest.Until(a.t, "the message is delivered", 2*time.Minute, func() bool {
		return strings.Contains(a.do(cli.ExitOK, "outcome", "ls", "--json"), `"outcome":"delivered"`)
	})
	for _, args := range []string{"outcome ls", "outcome lanes", "outcome lanes --json", "outcome probe", "outcome probe --json", "status named"} {
		a.do(cli.ExitOK, strings.Fields(args)...)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if code := exitCode(a.t, cmd); code != cli.ExitOK {
		a.t.Errorf("the follower: exit code %d\n%s", code, log.Tail())
	}
	a.tried["outcome follow"] = true
	a.look("the follower's log", log.String())
}
