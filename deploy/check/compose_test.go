package check

import (
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// TestCompose reads the Compose file as docker compose does, and strictly: with
// the schema of its specification, references, and interpolation.
func TestCompose(t *testing.T) {
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  "../compose",
		ConfigFiles: []types.ConfigFile{{Filename: "../compose/compose.yaml"}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) { o.Profiles = []string{"*"} })
	must(t, err)
	for _, name := range []string{"prepare", "nats-1", "nats-2", "nats-3", "s3", "simulator", "setup", "worker-1", "worker-2", "intake", "operator", "submitter", "watcher"} {
		s, err := project.GetService(name)
		must(t, err)
		if strings.HasSuffix(s.Image, ":latest") || !strings.HasPrefix(s.Image, "chartpost") && !strings.Contains(s.Image, ":") {
			t.Errorf("%s: its image is %q", name, s.Image)
		}
		if strings.HasPrefix(s.Image, "chartpost") {
			if !s.ReadOnly || s.User != "65532:65532" || len(s.CapDrop) != 1 || s.Build == nil {
				t.Errorf("%s: read-only %t, user %q, capabilities dropped %v", name, s.ReadOnly, s.User, s.CapDrop)
			}
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to the network", name, port.Published)
			}
		}
	}
	if n := len(project.Services); n != 13 {
		t.Errorf("%d services, 13 are looked at", n)
	}
}
