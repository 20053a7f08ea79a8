package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/samples"
)

// composeFile is as much of compose.yaml as is tried here; check/ holds all of
// it to the specification.
type composeFile struct {
	Services map[string]composeService
}

type composeService struct {
	Command, Volumes []string
	Environment      map[string]string
}

// TestComposeWorks runs what compose.yaml runs, without containers: its very
// commands, on the files that it mounts, with other ports. A job goes through.
func TestComposeWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("compose/compose.yaml")
	must(t, err)
	var file composeFile
	must(t, yaml.Unmarshal(text, &file))
	c := &composed{t: t, file: file, keys: t.TempDir()}
	maker, err := prepare()
	must(t, err)
	for range 2 { // a second start changes nothing
		if out, err := exec.Command(maker, c.keys).CombinedOutput(); err != nil {
			t.Fatalf("prepare: %v\n%s", err, out)
		}
	}
	servers := c.startNATS()
	redox := c.startDev("simulator", "api_url", map[string]string{"/keys": c.keys, "8443": "0"})
	store := c.startDev("s3", "url", map[string]string{"/data": t.TempDir(), "9000": "0"})
	c.urls = map[string]string{"nats-url": servers, "s3-endpoint": store, "redox-api-url": redox, "redox-blob-url": redox, "redox-token-url": redox + "/v2/auth/token"}

	devtest.Until(t, "setup works", patience, func() bool { return c.chartpost("setup").Run() == nil })
	for _, name := range []string{"worker-1", "worker-2"} {
		log, ended := process(t, c.chartpost(name))
		devtest.Until(t, name+" is ready", patience, func() bool {
			select {
			case <-ended:
				t.Fatalf("%s ended:\n%s", name, log.Tail())
			default:
			}
			return strings.Contains(log.String(), `"worker ready"`)
		})
	}
	log, ended := process(t, c.chartpost("intake"))
	devtest.Until(t, "the intake is ready", patience, func() bool {
		select {
		case <-ended:
			t.Fatalf("the intake ended:\n%s", log.Tail())
		default:
		}
		return strings.Contains(log.String(), `"intake ready"`)
	})
	must(t, os.WriteFile(filepath.Join(c.keys, "patient.json"), samples.Patient(), 0o600))
	must(t, os.WriteFile(filepath.Join(c.keys, "report.pdf"), samples.Documents()[0].Bytes, 0o600))
	send := []string{"send", "--id", "tried", "--to", "good-health", "--patient", filepath.Join(c.keys, "patient.json"), "--upload", filepath.Join(c.keys, "report.pdf")}
	if out, err := c.chartpost("submitter", send...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	devtest.Until(t, "the job is accepted", patience, func() bool {
		out, err := c.chartpost("operator", "lane", "ls", "--json").Output()
		must(t, err)
		return strings.Contains(string(out), "good-health")
	})
	out, err := c.chartpost("operator", "send", "--id", "followed", "--to", "good-health", "--patient", filepath.Join(c.keys, "patient.json"),
		"--file", "s3://reports/outbox/tried/report.pdf").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "accepted") {
		t.Errorf("%v\n%s", err, out)
	}
}

// composed is what runs.
type composed struct {
	t    *testing.T
	file composeFile
	// keys stands in for the volume of that name.
	keys string
	// urls are flags that name the servers where they really are.
	urls map[string]string
}

func (c *composed) service(name string) composeService {
	c.t.Helper()
	s, ok := c.file.Services[name]
	if !ok {
		c.t.Fatalf("compose.yaml has no service %s", name)
	}
	return s
}

// startNATS runs the three servers, each on a copy of its mounts.
func (c *composed) startNATS() (urls string) {
	c.t.Helper()
	names, routes := []string{"nats-1", "nats-2", "nats-3"}, []string{}
	for range names {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", devtest.Port(c.t)))
	}
	var all []string
	for i, name := range names {
		s := c.service(name)
		root := c.mounted(s)
		if len(s.Command) != 4 || s.Command[0] != "-c" || s.Command[2] != "-sd" {
			c.t.Fatalf("%s: the command is %v", name, s.Command)
		}
		server := startNATS(c.t, filepath.Join(root, s.Command[1]), []string{"NATS_NAME=" + s.Environment["NATS_NAME"]},
			"--cluster", routes[i], "--routes", strings.Join(routes, ","))
		all = append(all, server.url)
	}
	return strings.Join(all, ",")
}

// mounted lays out the files that a service mounts.
func (c *composed) mounted(s composeService) (root string) {
	c.t.Helper()
	root = c.t.TempDir()
	for _, volume := range s.Volumes {
		parts := strings.Split(volume, ":")
		source, target := filepath.Join("compose", parts[0]), filepath.Join(root, parts[1])
		switch {
		case parts[0] == "keys":
			source = c.keys
		case !strings.HasPrefix(parts[0], "."):
			continue // a volume of data
		}
		must(c.t, os.RemoveAll(target)) // a mount hides what is there
		must(c.t, os.CopyFS(target, os.DirFS(source)))
	}
	return root
}

// startDev runs the command of a service of chartpost-dev, with other words in
// the place of some, and gives the URL that it prints.
func (c *composed) startDev(name, key string, instead map[string]string) string {
	c.t.Helper()
	program, err := dev()
	must(c.t, err)
	words := slices.Clone(c.service(name).Command)
	for i, word := range words {
		for was, is := range instead {
			if word == was || strings.HasPrefix(word, was+"/") {
				words[i] = is + strings.TrimPrefix(word, was)
			}
		}
	}
	log, ended := process(c.t, exec.Command(program, words...))
	var told map[string]string
	devtest.Until(c.t, name+" listens", patience, func() bool {
		select {
		case <-ended:
			c.t.Fatalf("%s ended:\n%s", name, log.Tail())
		default:
		}
		line, _, whole := strings.Cut(log.String(), "\n")
		return whole && json.Unmarshal([]byte(line), &told) == nil
	})
	return told[key]
}

// chartpost is the command of a service, with more words, and with the settings
// of its role.
func (c *composed) chartpost(name string, more ...string) *exec.Cmd {
	c.t.Helper()
	program, err := command()
	must(c.t, err)
	s := c.service(name)
	words := slices.Concat(s.Command, more)
	for i, word := range words {
		switch {
		case strings.HasPrefix(word, "/keys/"):
			words[i] = filepath.Join(c.keys, strings.TrimPrefix(word, "/keys/"))
		case i > 0 && words[i-1] == "--http-addr":
			words[i] = "127.0.0.1:0"
		}
	}
	cmd := exec.Command(program, words...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=chartpost", "AWS_SECRET_ACCESS_KEY=chartpost-development", "CHARTPOST_LOG_FORMAT=json")
	for variable, value := range s.Environment {
		cmd.Env = append(cmd.Env, variable+"="+strings.Replace(value, "/keys", c.keys, 1))
	}
	for _, flag := range slices.Sorted(maps.Keys(c.urls)) {
		cmd.Env = append(cmd.Env, "CHARTPOST_"+strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))+"="+c.urls[flag])
	}
	return cmd
}
