package faultlab

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
)

// patience bounds every wait for a single thing.
const patience = 3 * time.Minute

// lab is the world of one run and its books.
type lab struct {
	t      testing.TB
	ground ground
	// canary is in every value of every job that may be patient data.
	canary string
	queue  *queue
	js     jetstream.JetStream
	s3     *s3.Client
	s3URL  string
	redox  *redox
	fleet  *fleet

	mu       sync.Mutex
	books    Books
	measures []Line
}

const (
	prefix     = "chartpost"
	bucketName = "reports"
)

// newLab starts everything but the workers.
func newLab(t testing.TB, g ground, w crew) *lab {
	t.Helper()
	t.Logf("%s", g)
	l := &lab{t: t, ground: g, canary: canaryOf(g.seed)}
	l.queue = startQueue(t, g)
	l.connect()
	l.setup()
	l.startStore()
	l.redox = startRedox(t, redoxsim.RateLimit{})
	l.fleet = newFleet(l, w)
	return l
}

func canaryOf(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	return "CANARY" + strings.ToUpper(hex.EncodeToString([]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}))
}

// random is the source of chance for one purpose of this run.
func (l *lab) random(purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(l.ground.seed, purpose))
}

// connect opens the lab's own connection.
func (l *lab) connect() {
	l.t.Helper()
	nc, err := nats.Connect(l.queue.url(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(nc.Close)
	if l.js, err = jetstream.New(nc); err != nil {
		l.t.Fatal(err)
	}
}

// setup lets the product make its streams, and then the ledger keep every
// revision: the product needs the last one only, the books need all.
func (l *lab) setup() {
	l.t.Helper()
	// One try may be too short for a busy machine, or fall into an election.
	devtest.Until(l.t, "chartpost setup works", patience, func() bool {
		cmd := exec.CommandContext(l.t.Context(), binaries.chartpost(l.t), "setup",
			"--nats-url", l.queue.url(), "--replicas", fmt.Sprint(l.ground.replicas))
		out, err := cmd.CombinedOutput()
		if err != nil {
			l.t.Logf("chartpost setup: %v: %s", err, out)
		}
		return err == nil
	})
	devtest.Until(l.t, "the ledger keeps every revision", patience, func() bool {
		ledger, err := l.js.Stream(l.t.Context(), "KV_"+stream("LEDGER"))
		if err != nil {
			return false
		}
		config := ledger.CachedInfo().Config
		config.MaxMsgsPerSubject = 64
		_, err = l.js.UpdateStream(l.t.Context(), config)
		return err == nil
	})
}

func (l *lab) startStore() {
	l.t.Helper()
	options := s3dev.Options{Dir: l.t.TempDir()}
	l.s3URL = devtest.Process(l.t, s3dev.StartProcess, options).URL()
	l.s3 = s3dev.Client(l.s3URL, options)
	if err := s3dev.Bucket(l.t.Context(), l.s3, bucketName, false); err != nil {
		l.t.Fatal(err)
	}
}

// harm writes down what was done.
func (l *lab) harm(what, whom string, answers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.books.Harms = append(l.books.Harms, Harm{At: time.Now(), What: what, Whom: whom, Answers: answers})
}

// measure adds a line to the table.
func (l *lab) measure(name, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.measures = append(l.measures, Line{name, fmt.Sprintf(format, args...)})
}

// pause waits, or until ctx ends, and tells which.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
