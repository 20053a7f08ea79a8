package deploy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// replicas is how many servers the tests of hostile roles run on.
var replicas = flag.Int("deploy.replicas", 1, "servers for the tests of hostile roles: 1 or 3")

// newClusterSite is a site of three servers that run the files of a folder, with their
// own ports in place of cluster.conf's names.
func newClusterSite(t *testing.T, settings string, ids identities) *site {
	t.Helper()
	const names = `["nats://nats-1:6222", "nats://nats-2:6222", "nats://nats-3:6222"]`
	const listens = `"0.0.0.0:6222"`
	text, err := os.ReadFile(filepath.Join(settings, "cluster.conf"))
	must(t, err)
	if !strings.Contains(string(text), names) || !strings.Contains(string(text), listens) {
		t.Fatalf("cluster.conf has other routes than %s, or listens elsewhere", names)
	}
	var routes []string
	var ports []*devstack.Port
	for range 3 {
		port, err := devstack.TakePort()
		must(t, err)
		t.Cleanup(func() { port.Close() })
		ports = append(ports, port)
		routes = append(routes, fmt.Sprintf("%q", fmt.Sprintf("nats://127.0.0.1:%d", port.Number)))
	}
	s := &site{t: t, prefix: "chartpost", ids: ids, settings: settings, dir: t.TempDir()}
	var urls []string
	for n, port := range ports {
		name := fmt.Sprintf("nats-%d", n+1)
		file := filepath.Join(settings, name+".conf")
		own := strings.NewReplacer(names, "["+strings.Join(routes, ", ")+"]", listens, fmt.Sprintf(`"127.0.0.1:%d"`, port.Number)).Replace(string(text))
		must(t, os.WriteFile(file, []byte(own), 0o600))
		server := startNATS(t, file, append(ids.environment(), "NATS_NAME="+name))
		urls = append(urls, server.url)
		s.nats = server
	}
	s.nats.url = strings.Join(urls, ",")
	s.equip()

	devtest.Until(t, "the servers know each other", patience, func() bool {
		_, _, code := s.run(operator, "setup", "--replicas", "3")

		return code == 0
	})

	return s
}
