package deploy

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
)

// TestTheProgramNeedsNothingElse runs a worker as its image does, without one:
// in a root that holds the program and its keys alone and of which it can write
// nothing, as user 65532 and as process 1. It delivers, and ends when told.
func TestTheProgramNeedsNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	s.as(operator, 0, "setup")
	program, err := command()
	must(t, err)
	isStatic(t, program)
	root := t.TempDir()
	place(t, root, "usr/local/bin/chartpost", program, 0o555)
	place(t, root, "keys/worker.nk", s.ids[worker].seedFile, 0o444)
	place(t, root, "keys/redox.pem", s.redox.KeyFile, 0o444)
	closed(t, root)

	log := &devtest.Log{}
	cmd := &exec.Cmd{
		Path: "/usr/local/bin/chartpost", Args: []string{"chartpost", "worker"}, Dir: "/", Stdout: log, Stderr: log, SysProcAttr: confined(root),
		Env: []string{
			"CHARTPOST_NATS_URL=" + s.nats.url, "CHARTPOST_NATS_NKEY=/keys/worker.nk", "CHARTPOST_HTTP_ADDR=127.0.0.1:0",
			"CHARTPOST_S3_ENDPOINT=" + s.store, "CHARTPOST_S3_PATH_STYLE=true", "CHARTPOST_S3_BUCKETS=" + testBucket,
			"AWS_ACCESS_KEY_ID=" + worker, "AWS_SECRET_ACCESS_KEY=" + worker + "-secret",
			"CHARTPOST_REDOX_ENVIRONMENT=Development", "CHARTPOST_REDOX_API_URL=" + s.redox.APIURL, "CHARTPOST_REDOX_TOKEN_URL=" + s.redox.TokenURL,
			"CHARTPOST_REDOX_BLOB_URL=" + s.redox.BlobURL, "CHARTPOST_REDOX_BLOB_HOSTS=blob.simulator.invalid",
			"CHARTPOST_REDOX_CLIENT_ID=" + s.redox.ClientID, "CHARTPOST_REDOX_KEY_ID=" + s.redox.KeyID, "CHARTPOST_REDOX_KEY_FILE=/keys/redox.pem",
			"CHARTPOST_REDOX_SOURCE_ID=" + s.redox.SourceID,
		},
	}
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Log(log.Tail())
		}
	}()
	e := s.watch()
	s.send("from-the-image", "good-health", "--transfer", "upload")
	s.await(e, "from-the-image", schemas.StatusAccepted)
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-ended:
		if err != nil || !strings.Contains(log.String(), "worker stopped") {
			t.Errorf("told to end it ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("it does not end when told")
	}
}

// isStatic fails for a program that needs a loader.
func isStatic(t *testing.T, program string) {
	t.Helper()
	file, err := elf.Open(program)
	must(t, err)
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program is not static")
		}
	}
}

// place copies a file into a root.
func place(t *testing.T, root, name, from string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	to := filepath.Join(root, name)
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	must(t, os.WriteFile(to, data, 0o600))
	must(t, os.Chmod(to, mode))
}

// closed takes the right to write away from every folder, until the test ends.
func closed(t *testing.T, root string) {
	t.Helper()
	set := func(mode os.FileMode) {
		must(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				err = os.Chmod(path, mode)
			}
			return err
		}))
	}
	set(0o555)
	t.Cleanup(func() { set(0o755) })
}

// confined is a process with a root of its own, process 1 of its namespace, and
// nobody's user. Who is not root makes a user namespace for it.
func confined(root string) *syscall.SysProcAttr {
	const nobody = 65532
	attr := &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		return attr
	}
	attr.Cloneflags |= syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
	return attr
}
