// Package floors holds the rules of who may import whom, as a test. The
// project is a house: data runs down its floors, and an import upwards, or out
// of a room that must stay shut, fails here with the name of the offender.
package floors

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

// room is what one package may import of this project, tests left aside.
type room struct {
	// rooms are the packages of this project it may import.
	rooms []string
	// shut are prefixes of foreign packages it must not reach, not even
	// through what it imports.
	shut []string
}

var (
	ground = room{}
	// network is what the pure floors never reach.
	network = []string{"net/http", "github.com/nats-io/", "github.com/aws/"}
	// servers is what production never links.
	servers = []string{
		"github.com/nats-io/nats-server/", "github.com/versity/",
		module + "/internal/redoxsim", module + "/internal/devstack",
	}
)

// house lists every package. A package that is not here fails the test: give
// it a floor first.
var house = map[string]room{
	// The ground floor imports nothing of the project.
	"schemas":            {shut: network},
	"redoxclient":        ground,
	"internal/fault":     {shut: network},
	"internal/insist":    {shut: network},
	"internal/versioned": {shut: network},
	"internal/budget":    {rooms: []string{"internal/versioned"}, shut: network},
	"internal/redoxsim":  {rooms: []string{"internal/redoxsim/platform"}},
	"internal/samples":   ground,
	"internal/guardlab":  {rooms: []string{"internal/fault", "pipeline/filetype", "pipeline/guard"}, shut: network},
	"internal/stdlog":    {shut: network},
	"internal/health":    {rooms: []string{"internal/stdlog"}},
	"internal/floors":    ground,
	"internal/mutate":    ground,

	"internal/redoxsim/platform": ground,
	"redoxclient/platform":       {rooms: []string{"redoxclient"}},
	"internal/samples/generate":  ground,
	"internal/release":           ground,

	// Pure: what we say to Redox.
	"pipeline/filetype": {shut: network},
	"pipeline/compose":  {rooms: []string{"schemas", "internal/fault", "pipeline/filetype", "pipeline/guard"}, shut: network},
	"pipeline/guard":    {rooms: []string{"internal/fault", "pipeline/filetype"}, shut: network},
	// The record of a job, and what may happen to it.
	"internal/job": {rooms: []string{"schemas", "internal/fault", "internal/versioned", "pipeline/guard"}, shut: network},
	// One job, and the loop around it. The network is behind their ports.
	"pipeline": {rooms: []string{"schemas", "internal/fault", "internal/job", "pipeline/compose", "pipeline/guard"}, shut: network},
	"worker":   {rooms: []string{"schemas", "internal/fault", "internal/job", "internal/versioned", "pipeline", "worker/lanes"}, shut: network},
	// Which lane is asked next, and which rests.
	"worker/lanes": {rooms: []string{"schemas", "internal/fault", "internal/versioned"}, shut: network},

	// Jobs from programs without rights on the queue: the rules, who may, and HTTP.
	"internal/intake":        {rooms: []string{"internal/job", "schemas", "internal/fault", "pipeline", "pipeline/compose", "pipeline/guard"}, shut: network},
	"internal/intake/access": {rooms: []string{"schemas", "internal/intake"}, shut: []string{"github.com/nats-io/", "github.com/aws/"}},
	"internal/intake/web":    {rooms: []string{"schemas", "internal/intake", "internal/intake/access", "internal/stdlog"}, shut: []string{"github.com/nats-io/", "github.com/aws/"}},

	// The edges implement the ports; none knows another.
	"internal/s3source":  {rooms: []string{"internal/job", "schemas", "internal/fault", "pipeline"}},
	"internal/redoxgate": {rooms: []string{"schemas", "internal/fault", "pipeline", "redoxclient"}},
	"internal/natsq":     {rooms: []string{"schemas", "worker", "worker/lanes", "internal/backfill", "internal/intake", "internal/diagnosis", "internal/fault", "internal/insist", "internal/jobindex", "internal/versioned", "internal/ledger/archive"}},
	"internal/ledger":    {rooms: []string{"internal/job", "schemas", "internal/fault", "internal/insist", "internal/versioned", "internal/ledger/archive", "pipeline", "worker"}},
	// Where the events of a job are, and which jobs there are.
	"internal/jobindex": {rooms: []string{"schemas"}, shut: network},
	"internal/joblist":  {rooms: []string{"schemas", "internal/job", "internal/jobindex", "internal/versioned"}, shut: network},
	// What leaves the ledger's bucket, packed.
	"internal/ledger/archive": {shut: network},
	"internal/ledger/measure": {rooms: []string{"internal/job", "internal/devstack", "internal/ledger", "internal/ledger/archive", "internal/natsq", "schemas"}},
	// The delivery of an archive: lines, and the jobs they become.
	"internal/manifest":  {rooms: []string{"schemas", "internal/fault"}, shut: network},
	"internal/inventory": {rooms: []string{"internal/manifest"}, shut: network},
	"internal/backfill":  {rooms: []string{"internal/job", "schemas", "internal/fault", "internal/manifest", "internal/versioned", "pipeline"}, shut: network},
	// What a manifest would be, before anything is sent.
	"internal/backfill/planning": {rooms: []string{"schemas", "internal/backfill", "internal/fault", "internal/manifest"}, shut: network},
	// Reports as files, and how far a run is.
	"internal/backfill/report": {rooms: []string{"internal/backfill", "internal/manifest"}, shut: network},
	"internal/backfill/status": {rooms: []string{"internal/backfill"}, shut: network},
	"internal/show":            {rooms: []string{"schemas"}, shut: network},

	// The code of docs/integrating.md.
	"docs":          ground, // tests of the pages
	"docs/examples": {rooms: []string{"schemas"}},

	// An operator's decisions about dead letters.
	"internal/deadletter": {rooms: []string{"internal/job", "schemas", "internal/fault", "pipeline", "worker", "internal/natsq"}},
	// What operators do, written down.
	"internal/audit": {rooms: []string{"schemas", "internal/deadletter"}},
	// Why a job or lane does not move, and how the whole deployment stands.
	"internal/diagnosis": {rooms: []string{"schemas", "worker/lanes"}, shut: network},
	"internal/overview": {rooms: []string{
		"schemas", "worker", "internal/backfill", "internal/backfill/status", "internal/deadletter", "internal/diagnosis", "internal/natsq",
	}},
	"internal/outcome/told": {rooms: []string{"schemas", "internal/natsq", "internal/outcome"}},
	// What became of accepted messages, from Redox's logs.
	"internal/outcome": {rooms: []string{"schemas", "internal/versioned", "redoxclient", "redoxclient/platform"}, shut: []string{"github.com/nats-io/", "github.com/aws/"}},
	// What is known of one job.
	"internal/timeline": {rooms: []string{"internal/job", "schemas", "pipeline", "internal/natsq", "internal/diagnosis", "internal/overview"}},

	// What a worker tells of itself.
	"internal/telemetry": {rooms: []string{"internal/job", "schemas", "internal/diagnosis", "internal/fault", "pipeline", "worker"}, shut: []string{"github.com/nats-io/", "github.com/aws/", "google.golang.org/grpc"}},

	// The wiring.
	"internal/app": {rooms: []string{
		"internal/jobindex",
		"internal/job",
		"schemas", "redoxclient", "pipeline", "pipeline/compose", "pipeline/guard", "worker",
		"internal/diagnosis", "internal/health", "internal/telemetry", "internal/budget", "internal/ledger", "internal/ledger/archive", "internal/natsq", "internal/redoxgate", "internal/s3source",
		"internal/intake", "internal/intake/access", "internal/intake/web", "internal/timeline", "internal/deadletter", "internal/outcome", "redoxclient/platform",
	}, shut: servers},
	// The commands: what all share, one package per family, and the program.
	"internal/cli":        {rooms: []string{"schemas", "internal/app", "internal/audit", "internal/natsq", "internal/show", "internal/stdlog"}, shut: servers},
	"cmd/chartpost/audit": {rooms: []string{"schemas", "internal/app", "internal/cli", "internal/natsq", "internal/show"}, shut: servers},
	"cmd/chartpost/backfill": {rooms: []string{
		"internal/outcome/told",
		"internal/show",
		"internal/job",
		"schemas", "pipeline", "pipeline/compose", "internal/app", "internal/backfill", "internal/backfill/planning", "internal/backfill/report", "internal/backfill/status",
		"internal/cli", "internal/fault", "internal/inventory", "internal/manifest", "internal/natsq", "internal/s3source", "internal/versioned",
	}, shut: servers},
	"cmd/chartpost/dead":   {rooms: []string{"internal/outcome/told", "schemas", "internal/app", "internal/audit", "internal/cli", "internal/deadletter", "internal/ledger", "internal/natsq", "internal/show"}, shut: servers},
	"cmd/chartpost/events": {rooms: []string{"schemas", "internal/app", "internal/cli", "internal/natsq", "internal/show"}, shut: servers},
	"cmd/chartpost/intake": {rooms: []string{"internal/app", "internal/cli"}, shut: servers},
	"cmd/chartpost/job": {rooms: []string{
		"internal/job",
		"schemas", "worker", "pipeline", "pipeline/compose", "internal/app", "internal/backfill", "internal/cli", "internal/deadletter", "internal/diagnosis", "internal/jobindex", "internal/joblist", "internal/overview",
		"internal/ledger", "internal/natsq", "internal/s3source", "internal/show", "internal/timeline",
	}, shut: servers},
	"cmd/chartpost/lane":    {rooms: []string{"schemas", "worker", "internal/app", "internal/cli", "internal/diagnosis", "internal/natsq", "internal/overview", "internal/show"}, shut: servers},
	"cmd/chartpost/outcome": {rooms: []string{"internal/outcome/told", "schemas", "internal/app", "internal/cli", "internal/natsq", "internal/outcome", "internal/show", "redoxclient/platform"}, shut: servers},
	"cmd/chartpost/setup":   {rooms: []string{"internal/app", "internal/cli", "internal/fault", "internal/natsq", "internal/show", "cmd/chartpost/worker"}, shut: servers},
	"cmd/chartpost/top": {rooms: []string{
		"internal/app", "internal/cli", "internal/deadletter", "internal/diagnosis", "internal/natsq", "internal/overview", "internal/show",
	}, shut: servers},
	"cmd/chartpost/worker": {rooms: []string{"internal/app", "internal/cli"}, shut: servers},
	"cmd/chartpost": {rooms: []string{
		"schemas", "internal/app", "internal/backfill", "internal/cli", "internal/natsq", "internal/show", "internal/stdlog",
		"cmd/chartpost/audit", "cmd/chartpost/backfill", "cmd/chartpost/dead", "cmd/chartpost/events", "cmd/chartpost/intake", "cmd/chartpost/job",
		"cmd/chartpost/lane", "cmd/chartpost/outcome", "cmd/chartpost/setup", "cmd/chartpost/top", "cmd/chartpost/worker",
	}, shut: servers},

	// Real servers for development and tests.
	"internal/devstack":         ground,
	"internal/devstack/s3dev":   {rooms: []string{"internal/devstack"}},
	"internal/devstack/devtest": {rooms: []string{"internal/devstack"}},
	"internal/faultlab":         ground,
	"internal/bench":            {rooms: []string{"schemas", "internal/redoxsim", "internal/devstack", "internal/devstack/s3dev"}},
	"internal/bench/pipe":       {rooms: []string{"schemas", "redoxclient", "internal/s3source"}},
	"deploy":                    ground,
	"deploy/compose/prepare":    {rooms: []string{"internal/redoxsim"}},
	"cmd/chartpost-dev": {rooms: []string{
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
	if len(packages) < len(house) {
		t.Errorf("go list found %d packages, the house has %d rooms: remove those that are gone", len(packages), len(house))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		rules, ok := house[name]
		if !ok {
			t.Errorf("%s is on no floor: add it to the house with what it may import", name)
			continue
		}
		for _, imported := range p.Imports {
			below, ours := strings.CutPrefix(imported, module+"/")
			if ours && !slices.Contains(rules.rooms, below) {
				t.Errorf("%s imports %s, which is not below it; it may import %v", name, below, rules.rooms)
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
			t.Fatalf("the house has a circle: %v", append(above, name))
		}
		if _, ok := house[name]; !ok {
			t.Fatalf("%v may import %s, which is no room", above, name)
		}
		if done[name] {
			return
		}
		for _, below := range house[name].rooms {
			visit(below, append(slices.Clone(above), name))
		}
		done[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(house)) {
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
