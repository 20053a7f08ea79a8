// Package archtest holds the rules of who may import whom, as a test. An
// import from a lower layer to a higher one, or of a package that a layer must
// not reach, fails with the name of the offender.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/chartpost/chartpost"

// layer is what one package may import of this project, tests left aside.
type layer struct {
	// may are the packages of this project it may import.
	may []string
	// shut are prefixes of foreign packages it must not reach, not even
	// through what it imports.
	shut []string
}

var (
	ground = layer{}
	// network is what the pure layers never reach.
	network = []string{"net/http", "github.com/nats-io/", "github.com/aws/"}
	// servers is what production never links.
	servers = []string{
		"github.com/nats-io/nats-server/", "github.com/versity/",
		module + "/internal/redoxsim", module + "/internal/devstack",
	}
)

// layers lists every package. A package that is not here fails the test: give
// it a place first.
var layers = map[string]layer{
	// The lowest layer imports nothing of the project.
	"schemas":            {shut: network},
	"redoxclient":        ground,
	"internal/fault":     {shut: network},
	"internal/retry":     {shut: network},
	"internal/versioned": {shut: network},
	"internal/fairqueue": {shut: network},
	"internal/budget":    {may: []string{"internal/versioned"}, shut: network},
	"internal/redoxsim":  {may: []string{"internal/redoxsim/platform"}},
	"internal/samples":   ground,
	"internal/guardlab":  {may: []string{"internal/fault", "pipeline/filetype", "pipeline/guard"}, shut: network},
	"internal/stdlog":    {shut: network},
	"internal/health":    {may: []string{"internal/stdlog"}},
	"internal/archtest":  ground,
	"internal/mutate":    ground,

	"internal/redoxsim/platform": ground,
	"redoxclient/platform":       {may: []string{"redoxclient"}},
	"internal/samples/generate":  ground,
	"internal/release":           ground,

	// Pure: what we say to Redox.
	"pipeline/filetype": {shut: network},
	"pipeline/compose":  {may: []string{"schemas", "internal/fault", "pipeline/filetype", "pipeline/guard"}, shut: network},
	"pipeline/guard":    {may: []string{"internal/fault", "pipeline/filetype"}, shut: network},
	// The record of a job, and what may happen to it.
	"internal/job": {may: []string{"schemas", "internal/fault", "internal/versioned", "pipeline/guard"}, shut: network},
	// One job, and the loop around it. The network is behind their ports.
	"pipeline": {may: []string{"schemas", "internal/fault", "internal/job", "pipeline/compose", "pipeline/guard"}, shut: network},
	"worker":   {may: []string{"schemas", "internal/fault", "internal/job", "internal/versioned", "pipeline", "worker/lanes"}, shut: network},
	// Which lane is asked next, and which rests.
	"worker/lanes": {may: []string{"schemas", "internal/fault", "internal/versioned"}, shut: network},

	// Jobs from programs without rights on the queue: the rules, who may, and HTTP.
	"internal/intake":        {may: []string{"internal/job", "schemas", "internal/fault", "pipeline", "pipeline/compose", "pipeline/guard"}, shut: network},
	"internal/intake/access": {may: []string{"schemas", "internal/intake"}, shut: []string{"github.com/nats-io/", "github.com/aws/"}},
	"internal/intake/web":    {may: []string{"schemas", "internal/intake", "internal/intake/access", "internal/stdlog"}, shut: []string{"github.com/nats-io/", "github.com/aws/"}},

	// The edges implement the ports; none knows another.
	"internal/s3source":  {may: []string{"internal/job", "schemas", "internal/fault", "pipeline"}},
	"internal/redoxport": {may: []string{"schemas", "internal/fault", "pipeline", "redoxclient"}},
	"internal/natsq":     {may: []string{"schemas", "worker", "worker/lanes", "internal/backfill", "internal/intake", "internal/diagnosis", "internal/fairqueue", "internal/fault", "internal/retry", "internal/jobindex", "internal/versioned", "internal/ledger/archive"}},
	"internal/ledger":    {may: []string{"internal/job", "schemas", "internal/fault", "internal/retry", "internal/versioned", "internal/ledger/archive", "pipeline", "worker"}},
	// Where the events of a job are, and which jobs there are.
	"internal/jobindex": {may: []string{"schemas"}, shut: network},
	"internal/joblist":  {may: []string{"schemas", "internal/job", "internal/jobindex", "internal/versioned"}, shut: network},
	// What leaves the ledger's bucket, packed.
	"internal/ledger/archive": {shut: network},
	"internal/ledger/measure": {may: []string{"internal/job", "internal/devstack", "internal/ledger", "internal/ledger/archive", "internal/natsq", "schemas"}},
	// The delivery of an archive: lines, and the jobs they become.
	"internal/manifest":  {may: []string{"schemas", "internal/fault"}, shut: network},
	"internal/inventory": {may: []string{"internal/manifest"}, shut: network},
	"internal/backfill":  {may: []string{"internal/job", "schemas", "internal/fault", "internal/manifest", "internal/versioned", "pipeline"}, shut: network},
	// What a manifest would be, before anything is sent.
	"internal/backfill/planning": {may: []string{"schemas", "internal/backfill", "internal/fault", "internal/manifest"}, shut: network},
	// Reports as files, and how far a run is.
	"internal/backfill/report": {may: []string{"internal/backfill", "internal/manifest"}, shut: network},
	"internal/backfill/status": {may: []string{"internal/backfill"}, shut: network},
	"internal/show":            {may: []string{"schemas"}, shut: network},

	// The code of docs/integrating.md.
	"docs":          ground, // tests of the pages
	"docs/examples": {may: []string{"schemas"}},

	// An operator's decisions about dead letters.
	"internal/deadletter": {may: []string{"internal/job", "schemas", "internal/fault", "pipeline", "worker", "internal/natsq"}},
	// What operators do, written down.
	"internal/audit": {may: []string{"schemas", "internal/deadletter"}},
	// Why a job or lane does not move, and how the whole deployment stands.
	"internal/diagnosis": {may: []string{"schemas", "worker/lanes"}, shut: network},
	"internal/overview": {may: []string{
		"schemas", "worker", "internal/backfill", "internal/backfill/status", "internal/deadletter", "internal/diagnosis", "internal/natsq",
	}},
	"internal/outcome/told": {may: []string{"schemas", "internal/natsq", "internal/outcome"}},
	// What became of accepted messages, from Redox's logs.
	"internal/outcome": {may: []string{"schemas", "internal/versioned", "redoxclient", "redoxclient/platform"}, shut: []string{"github.com/nats-io/", "github.com/aws/"}},
	// What is known of one job.
	"internal/timeline": {may: []string{"internal/job", "schemas", "pipeline", "internal/natsq", "internal/diagnosis", "internal/overview"}},

	// What a worker tells of itself.
	"internal/telemetry": {may: []string{"internal/job", "schemas", "internal/diagnosis", "internal/fault", "pipeline", "worker"}, shut: []string{"github.com/nats-io/", "github.com/aws/", "google.golang.org/grpc"}},

	// The wiring.
	"internal/app": {may: []string{
		"internal/jobindex",
		"internal/job",
		"schemas", "redoxclient", "pipeline", "pipeline/compose", "pipeline/guard", "worker",
		"internal/diagnosis", "internal/health", "internal/telemetry", "internal/budget", "internal/ledger", "internal/ledger/archive", "internal/natsq", "internal/redoxport", "internal/s3source",
		"internal/intake", "internal/intake/access", "internal/intake/web", "internal/timeline", "internal/deadletter", "internal/outcome", "redoxclient/platform",
	}, shut: servers},
	// The commands: what all share, one package per family, and the program.
	"internal/cli":        {may: []string{"schemas", "internal/app", "internal/audit", "internal/natsq", "internal/show", "internal/stdlog"}, shut: servers},
	"cmd/chartpost/audit": {may: []string{"schemas", "internal/app", "internal/cli", "internal/natsq", "internal/show"}, shut: servers},
	"cmd/chartpost/backfill": {may: []string{
		"internal/outcome/told",
		"internal/show",
		"internal/job",
		"schemas", "pipeline", "pipeline/compose", "internal/app", "internal/backfill", "internal/backfill/planning", "internal/backfill/report", "internal/backfill/status",
		"internal/cli", "internal/fault", "internal/inventory", "internal/manifest", "internal/natsq", "internal/s3source", "internal/versioned",
	}, shut: servers},
	"cmd/chartpost/dead":   {may: []string{"internal/outcome/told", "schemas", "internal/app", "internal/audit", "internal/cli", "internal/deadletter", "internal/ledger", "internal/natsq", "internal/show"}, shut: servers},
	"cmd/chartpost/events": {may: []string{"schemas", "internal/app", "internal/cli", "internal/natsq", "internal/show"}, shut: servers},
	"cmd/chartpost/intake": {may: []string{"internal/app", "internal/cli"}, shut: servers},
	"cmd/chartpost/job": {may: []string{
		"internal/job",
		"schemas", "worker", "pipeline", "pipeline/compose", "internal/app", "internal/backfill", "internal/cli", "internal/deadletter", "internal/diagnosis", "internal/jobindex", "internal/joblist", "internal/overview",
		"internal/ledger", "internal/natsq", "internal/s3source", "internal/show", "internal/timeline",
	}, shut: servers},
	"cmd/chartpost/lane":    {may: []string{"schemas", "worker", "internal/app", "internal/cli", "internal/diagnosis", "internal/natsq", "internal/overview", "internal/show"}, shut: servers},
	"cmd/chartpost/outcome": {may: []string{"internal/outcome/told", "schemas", "internal/app", "internal/cli", "internal/natsq", "internal/outcome", "internal/show", "redoxclient/platform"}, shut: servers},
	"cmd/chartpost/setup":   {may: []string{"internal/app", "internal/cli", "internal/fault", "internal/natsq", "internal/show", "cmd/chartpost/worker"}, shut: servers},
	"cmd/chartpost/top": {may: []string{
		"internal/app", "internal/cli", "internal/deadletter", "internal/diagnosis", "internal/natsq", "internal/overview", "internal/show",
	}, shut: servers},
	"cmd/chartpost/worker": {may: []string{"internal/app", "internal/cli"}, shut: servers},
	"cmd/chartpost": {may: []string{
		"schemas", "internal/app", "internal/backfill", "internal/cli", "internal/natsq", "internal/show", "internal/stdlog",
		"cmd/chartpost/audit", "cmd/chartpost/backfill", "cmd/chartpost/dead", "cmd/chartpost/events", "cmd/chartpost/intake", "cmd/chartpost/job",
		"cmd/chartpost/lane", "cmd/chartpost/outcome", "cmd/chartpost/setup", "cmd/chartpost/top", "cmd/chartpost/worker",
	}, shut: servers},

	// Real servers for development and tests.
	"internal/devstack":         ground,
	"internal/devstack/s3dev":   {may: []string{"internal/devstack"}},
	"internal/devstack/devtest": {may: []string{"internal/devstack"}},
	"internal/faultlab":         ground,
	"internal/bench":            {may: []string{"schemas", "internal/redoxsim", "internal/devstack", "internal/devstack/s3dev"}},
	"internal/bench/pipe":       {may: []string{"schemas", "redoxclient", "internal/s3source"}},
	"deploy":                    ground,
	"deploy/compose/prepare":    {may: []string{"internal/redoxsim"}},
	"cmd/chartpost-dev": {may: []string{
		"schemas", "internal/app", "internal/natsq", "internal/s3source", "internal/show", "internal/samples", "internal/redoxsim",
		"internal/devstack", "internal/devstack/s3dev", "internal/stdlog",
	}},
}

// listed is what the go command says of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestEveryPackageKeepsToItsFloor(t *testing.T) {
	packages := list(t)
	if len(packages) < len(layers) {
		t.Errorf("go list found %d packages, this test lists %d: remove those that are gone", len(packages), len(layers))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		rules, ok := layers[name]
		if !ok {
			t.Errorf("%s is in no layer: add it to layers with what it may import", name)
			continue
		}
		for _, imported := range p.Imports {
			below, ours := strings.CutPrefix(imported, module+"/")
			if ours && !slices.Contains(rules.may, below) {
				t.Errorf("%s imports %s, which is not below it; it may import %v", name, below, rules.may)
			}
		}
		for _, dep := range p.Deps {
			for _, shut := range rules.shut {
				if strings.HasPrefix(dep, shut) {
					t.Errorf("%s reaches %s, which must stay out of it", name, dep)
				}
			}
		}
	}
}

// TestTheProgramHasTimeZones: its image has none, and hours are told by their clocks.
func TestTheProgramHasTimeZones(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath == module+"/cmd/chartpost" && !slices.Contains(p.Deps, "time/tzdata") {
			t.Error("chartpost does not link time/tzdata")
		}
	}
}

// TestTheHouseHasNoCircles makes sure that the table itself runs one way.
func TestTheHouseHasNoCircles(t *testing.T) {
	done := map[string]bool{}
	var visit func(name string, above []string)
	visit = func(name string, above []string) {
		if slices.Contains(above, name) {
			t.Fatalf("a circle of imports: %v", append(above, name))
		}
		if _, ok := layers[name]; !ok {
			t.Fatalf("%v may import %s, which is in no layer", above, name)
		}
		if done[name] {
			return
		}
		for _, below := range layers[name].may {
			visit(below, append(slices.Clone(above), name))
		}
		done[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		visit(name, nil)
	}
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	var packages []listed
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	return packages
}
