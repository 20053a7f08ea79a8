package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
)

// TestAWorkerWithoutTheFleetsRecordEnds: a worker whose user may not write or read the
// record ends at once, with the subject that it lacks.
func TestAWorkerWithoutTheFleetsRecordEnds(t *testing.T) {
	for name, lacks := range map[string]struct {
		subject string
		// first: another worker has written the record.
		first bool
	}{
		"write": {"$KV.CHARTPOST_CONTROL.fleet", false},
		"read":  {"$JS.API.STREAM.MSG.GET.KV_CHARTPOST_CONTROL", true},
		"ask":   {"$JS.API.STREAM.INFO.KV_CHARTPOST_CONTROL", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS("nats")))
			file := filepath.Join(dir, "roles", "worker.conf")
			text, err := os.ReadFile(file)
			must(t, err)
			line := `    "` + lacks.subject + `"` + "\n"
			if strings.Count(string(text), line) != 1 {
				t.Fatalf("%s has no line %s", file, line)
			}
			must(t, os.WriteFile(file, []byte(strings.Replace(string(text), line, "", 1)), 0o600))
			s := newSiteOf(t, "chartpost", dir, newIdentities(t))
			s.as(operator, 0, "setup")
			fleet := natsq.Fleet{Lease: 30 * time.Second, Environment: "Development"}
			join := func(role string) error {
				queue, err := app.Queue(s.natsAs(role), "test", new(devtest.Log).Logger())
				must(t, err)
				defer queue.Close()
				return queue.Join(t.Context(), fleet)
			}
			if lacks.first {
				must(t, join(operator))
			}
			began := time.Now()
			err = join(worker)
			if err == nil || !strings.Contains(err.Error(), `publish to "`+lacks.subject+`"`) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line that names %s", err, lacks.subject)
			}
			// A silent queue is waited for for a minute.
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it ended after %v", took)
			}
		})
	}
}
