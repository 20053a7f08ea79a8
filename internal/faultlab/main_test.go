package faultlab

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chartpost/chartpost/internal/devstack"
)

// The flags of the laboratory. Without them every scenario runs in its short
// form, as part of `make test`.
var (
	long     = flag.Bool("lab.long", false, "run the scenarios at full length, on every queue")
	seedFlag = flag.Uint64("lab.seed", 0, "seed of load and harm; 0 draws one, which is printed")
	jobsFlag = flag.Int("lab.jobs", 0, "jobs of a run, in place of the scenario's own number")
	leaders  = flag.Int("lab.leaders", -1, "how often chaos kills the leader of the jobs stream, in place of its own number")
	replicas = flag.String("lab.replicas", "", "replicas of the streams to run on, such as 1,3")
	versions = flag.String("lab.nats", "", "versions of nats-server to run on, such as 2.15.2,2.15.3; go.mod stands for the one in go.mod")
	program  = flag.String("lab.chartpost", "", "path of a chartpost binary to judge in place of this checkout")
	settings = flag.String("lab.settings", "", "further settings of the workers: CHARTPOST_A=b,CHARTPOST_C=d")
	jsonFile = flag.String("lab.json", "", "file to append each run's books to, one JSON object a line")
	keepLogs = flag.String("lab.logs", "", "folder to leave the workers' logs in")
)

func TestMain(m *testing.M) {
	devstack.ServeIfAsked(devstack.NATSRole())
	flag.Parse()
	if !*long {
		// The short forms wait more than they work, each in a world of its own.
		if err := flag.Set("test.parallel", "4"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// binaries are the programs under judgement, each built once.
var binaries = &programs{made: map[string]func() (string, error){}}

type programs struct {
	mu   sync.Mutex
	made map[string]func() (string, error)
}

func (p *programs) get(t testing.TB, name string, make func() (string, error)) string {
	t.Helper()
	p.mu.Lock()
	once := p.made[name]
	if once == nil {
		once = sync.OnceValues(make)
		p.made[name] = once
	}
	p.mu.Unlock()
	path, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// chartpost is the real program.
func (p *programs) chartpost(t testing.TB) string {
	if *program != "" {
		return *program
	}
	return p.get(t, "chartpost", func() (string, error) {
		return devstack.Build(context.Background(), "cmd/chartpost")
	})
}

// ownVersion stands for the version that go.mod requires.
const ownVersion = "go.mod"

// nats is the genuine server of a version. Versions other than the module's own
// are kept in the bin folder of the checkout.
func (p *programs) nats(t testing.TB, version string) string {
	return p.get(t, "nats "+version, func() (string, error) {
		if version == ownVersion {
			return devstack.Build(context.Background(), devstack.NATSServer)
		}
		return devstack.InstallNATSServer(context.Background(), filepath.Join("..", "..", "bin"), version)
	})
}

// ground is where a run takes place.
type ground struct {
	scenario string
	replicas int
	version  string
	seed     uint64
}

func (g ground) String() string {
	return fmt.Sprintf("%s on R%d, nats-server %s, -lab.seed=%d", g.scenario, g.replicas, g.version, g.seed)
}

// onGrounds runs a scenario on each ground that the flags ask for: in the short
// form, one with shortReplicas.
func onGrounds(t *testing.T, scenario string, shortReplicas int, run func(t *testing.T, g ground)) {
	counts, names := []int{shortReplicas}, []string{ownVersion}
	if !*long {
		t.Parallel()
	}
	if *long {
		counts, names = []int{1, 3}, []string{ownVersion}
	}
	if *replicas != "" {
		counts = nil
		for word := range strings.SplitSeq(*replicas, ",") {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatalf("-lab.replicas: %v", err)
			}
			counts = append(counts, n)
		}
	}
	if *versions != "" {
		names = strings.Split(*versions, ",")
	}
	for _, version := range names {
		for _, n := range counts {
			g := ground{scenario, n, version, *seedFlag}
			if g.seed == 0 {
				g.seed = rand.Uint64N(1_000_000) + 1
			}
			t.Run(fmt.Sprintf("R%d-%s", n, version), func(t *testing.T) {
				if !*long {
					t.Parallel()
				}
				run(t, g)
			})
		}
	}
}

// sized is the short or the long form's number.
func sized[T any](shortForm, longForm T) T {
	if *long {
		return longForm
	}
	return shortForm
}

// leaderKills is how often the leader is killed, unless a flag says otherwise.
func leaderKills(n int) int {
	if *leaders >= 0 {
		return *leaders
	}
	return n
}

// jobs is a number of jobs, unless a flag says another.
func jobs(n int) int {
	if *jobsFlag > 0 {
		return *jobsFlag
	}
	return n
}
