package platform_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
	sim "github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/redoxclient/platform"
)

// world is the simulator of Redox with its Platform API, and a client of it.
type world struct {
	redox  *redoxsim.Server
	api    *sim.API
	client *platform.Client
	url    string
	config platform.Config
}

const source = "11111111-2222-4333-8444-555555555555"

// newWorld serves the API by cfg. With traffic the client has a key for sending in
// place of a user's.
func newWorld(t *testing.T, cfg sim.Config, rate int, traffic bool) *world {
	t.Helper()
	credentials, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{api: sim.New(cfg)}
	key := credentials.Client
	key.User = !traffic
	w.redox, err = redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{key}, Platform: w.api, Rate: redoxsim.RateLimit{Requests: rate}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.redox)
	t.Cleanup(func() { server.Close(); _ = w.redox.Close() })
	file := filepath.Join(t.TempDir(), "user.pem")
	if err := os.WriteFile(file, credentials.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	w.url = server.URL
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID: credentials.ClientID, KeyFile: file, KeyID: credentials.KeyID, TokenURL: server.URL + "/v2/auth/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.config = platform.Config{APIURL: server.URL, Organization: "1", EnvironmentID: w.api.EnvironmentID("Development"), Tokens: tokens}
	if w.client, err = platform.New(w.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	return w
}

func (w *world) arrived(n int) {
	for i := range n {
		w.api.Arrived(sim.Message{LogID: fmt.Sprintf("log-%04d", i), Source: source, Destination: "lab", Model: "Notes", EventType: "New"})
	}
}

// found counts the logs of a search by their id.
func (w *world) found(t *testing.T, q platform.Query) (map[string]int, error) {
	t.Helper()
	seen := map[string]int{}
	err := w.client.Search(t.Context(), q, func(l platform.Log) bool {
		seen[l.ID]++
		return true
	})
	return seen, err
}

func TestASearchFindsEveryLogInAnyLayout(t *testing.T) {
	for _, result := range []bool{false, true} {
		for _, list := range []string{"", "results", "somethingElse"} {
			for _, cursor := range []string{"payload", "meta", "link"} {
				for _, order := range []sim.Order{sim.OldestFirst, sim.NewestFirst, sim.Shuffled} {
					cfg := sim.Config{Shape: sim.Shape{Result: result, List: list, Cursor: cursor}, Order: order, Repeat: order == sim.Shuffled}
					t.Run(fmt.Sprintf("%v-%s-%s-%s", result, list, cursor, order), func(t *testing.T) {
						w := newWorld(t, cfg, 0, false)
						w.arrived(237)
						seen, err := w.found(t, platform.Query{DestinationID: sim.DestinationID("lab"), Mode: platform.Realtime})
						if err != nil || len(seen) != 237 {
							t.Fatalf("found %d of 237 logs: %v", len(seen), err)
						}
					})
				}
			}
		}
	}
}

// A page that is full and names no next page is an end only if a next page would
// have been recognized.
func TestAFullPageWithoutACursor(t *testing.T) {
	w := newWorld(t, sim.Config{}, 0, false)
	w.arrived(50)
	if seen, err := w.found(t, platform.Query{}); err != nil || len(seen) != 50 {
		t.Errorf("found %d of 50 logs: %v", len(seen), err)
	}
	w = newWorld(t, sim.Config{Shape: sim.Shape{Cursor: "none"}}, 0, false)
	w.arrived(60)
	_, err := w.found(t, platform.Query{})
	if e, ok := errors.AsType[*platform.Error](err); !ok || e.Code != platform.CodeNoCursor {
		t.Errorf("a search whose next page cannot be found gives %v", err)
	}
}

// An empty page that names a next one is not the end, and a short page is one only if a
// next page would have been recognized. A cursor may stand on the last page too.
func TestAPartOfASearchIsNotTheWhole(t *testing.T) {
	for name, shape := range map[string]sim.Shape{
		"empty pages between": {Gaps: true}, "pages shorter than asked for": {Short: 20}, "a cursor on the last page": {Trailing: true},
	} {
		w := newWorld(t, sim.Config{Shape: shape}, 0, false)
		w.arrived(70)
		if seen, err := w.found(t, platform.Query{}); err != nil || len(seen) != 70 {
			t.Errorf("%s: found %d of 70 logs: %v", name, len(seen), err)
		}
	}
	for shape, code := range map[sim.Shape]string{
		{Short: 20, Cursor: "none"}: platform.CodeNoCursor, {Errors: "payload"}: platform.CodeErrors, {Errors: "meta"}: platform.CodeErrors,
	} {
		w := newWorld(t, sim.Config{Shape: shape, Note: "Jane Doe"}, 0, false)
		w.arrived(30)
		seen, err := w.found(t, platform.Query{})
		e, ok := errors.AsType[*platform.Error](err)
		if !ok || e.Code != code || e.Kind != platform.Unreadable || strings.Contains(err.Error(), "Jane") {
			t.Errorf("%+v: found %d logs and %v, want the code %s", shape, len(seen), err, code)
		}
	}
}

func TestASearchIsNarrowedAndSeesOneMode(t *testing.T) {
	w := newWorld(t, sim.Config{}, 0, false)
	w.api.Script("bulk", sim.Script{Mode: sim.Backfill})
	w.api.Script("bad", sim.Stays(sim.Failed))
	w.api.Script("lost", sim.Script{Unrouted: true})
	for _, destination := range []string{"lab", "bulk", "bad", "lost"} {
		w.api.Arrived(sim.Message{LogID: "log-" + destination, Source: source, Destination: destination})
	}
	for _, c := range []struct {
		name string
		q    platform.Query
		want string
	}{
		{"realtime", platform.Query{Mode: platform.Realtime}, "log-bad log-lab log-lost"},
		{"no mode is realtime", platform.Query{}, "log-bad log-lab log-lost"},
		{"backfill", platform.Query{Mode: platform.Backfill}, "log-bulk"},
		{"status", platform.Query{Status: platform.Failed}, "log-bad"},
		{"destination", platform.Query{DestinationID: sim.DestinationID("lab")}, "log-lab"},
		{"source, without what failed early", platform.Query{SourceID: source}, "log-bad log-lab"},
		{"another time", platform.Query{UpdatedBefore: time.Now().Add(-time.Hour)}, ""},
	} {
		var all []string
		seen, err := w.found(t, c.q)
		for _, id := range []string{"log-bad", "log-bulk", "log-lab", "log-lost"} {
			if seen[id] > 0 {
				all = append(all, id)
			}
		}
		if got := strings.Join(all, " "); err != nil || got != c.want {
			t.Errorf("%s: found %q, want %q: %v", c.name, got, c.want, err)
		}
	}
}

func TestALogIsReadInBothShapesAndModes(t *testing.T) {
	for _, result := range []bool{false, true} {
		w := newWorld(t, sim.Config{Shape: sim.Shape{Result: result}}, 0, false)
		w.api.Script("lab", sim.Succeeds(3))
		w.api.Script("bulk", sim.Script{Mode: sim.Backfill, Steps: sim.Stays("Parked (see Jane Doe)").Steps})
		past := time.Now().Add(-time.Minute)
		w.api.Arrived(sim.Message{LogID: "a", Source: source, Destination: "lab", At: past})
		w.api.Arrived(sim.Message{LogID: "b", Source: source, Destination: "bulk", At: past})
		log, err := w.client.Log(t.Context(), "a")
		if err != nil || log.Status != platform.Succeeded || log.Attempts != 3 || log.Mode != platform.Realtime || log.AttemptAt.IsZero() {
			t.Errorf("result %v: the log is %+v: %v", result, log, err)
		}
		log, err = w.client.Log(t.Context(), "b")
		if err != nil || log.Status != platform.Unknown || log.Word != "other" || log.Mode != platform.Backfill {
			t.Errorf("result %v: the backfill's log is %+v: %v", result, log, err)
		}
		_, err = w.client.Log(t.Context(), "none")
		if e, ok := errors.AsType[*platform.Error](err); !ok || e.Kind != platform.NotFound {
			t.Errorf("result %v: a log that is not there gives %v", result, err)
		}
	}
}

func TestAnErrorIsNeverAnEmptySearch(t *testing.T) {
	w := newWorld(t, sim.Config{}, 0, false)
	w.arrived(3)
	for _, c := range []struct {
		status int
		kind   platform.Kind
	}{
		{401, platform.Refused}, {403, platform.Refused}, {404, platform.NotFound}, {429, platform.RateLimited},
		{400, platform.Invalid}, {307, platform.Invalid}, {204, platform.Unreadable}, {500, platform.Passing}, {504, platform.Passing},
	} {
		err := w.redox.Replace(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.PlatformRequest}, Action: redoxsim.AnswerStatus, Status: c.status})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.found(t, platform.Query{})
		if e, ok := errors.AsType[*platform.Error](err); !ok || e.Kind != c.kind || e.Status != c.status {
			t.Errorf("status %d gives %v, want the kind %s", c.status, err, c.kind)
		}
	}
	for _, action := range []redoxsim.Action{redoxsim.CutBeforeBody, redoxsim.AnswerUnreadable, redoxsim.AnswerEmpty, redoxsim.AnswerCut, redoxsim.AnswerOversized} {
		if err := w.redox.Replace(redoxsim.Fault{Match: redoxsim.Match{Operation: "search"}, Action: action}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.found(t, platform.Query{}); err == nil {
			t.Errorf("%s looks like a search that came to its end", action)
		}
	}
}

func TestATokenThatWasRevokedIsReplacedOnce(t *testing.T) {
	w := newWorld(t, sim.Config{}, 0, false)
	w.arrived(1)
	for range 2 {
		if seen, err := w.found(t, platform.Query{}); err != nil || len(seen) != 1 {
			t.Fatalf("found %d of 1 log: %v", len(seen), err)
		}
		w.redox.RevokeTokens()
	}
}

func TestAKeyForTrafficMayNotReadLogs(t *testing.T) {
	w := newWorld(t, sim.Config{}, 0, true)
	_, err := w.found(t, platform.Query{})
	if e, ok := errors.AsType[*platform.Error](err); !ok || e.Kind != platform.Refused {
		t.Errorf("the search gives %v", err)
	}
}

func TestRequestsCountInTheWindowOfDeliveries(t *testing.T) {
	w := newWorld(t, sim.Config{}, 3, false)
	w.arrived(1)
	for range 2 {
		if _, err := w.found(t, platform.Query{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.found(t, platform.Query{}) // the token was the third
	if e, ok := errors.AsType[*platform.Error](err); !ok || e.Kind != platform.RateLimited || w.redox.WindowUsed() != 3 {
		t.Errorf("%d requests count, and the next gives %v", w.redox.WindowUsed(), err)
	}
}

func TestEnvironmentsAndRegions(t *testing.T) {
	w := newWorld(t, sim.Config{Regions: true}, 0, false)
	all, err := w.client.Environments(t.Context())
	if err != nil || len(all) != 3 || all[2].Flag != "Development" || all[2].ID != w.api.EnvironmentID("Development") {
		t.Errorf("the environments are %+v: %v", all, err)
	}
	if _, err := w.found(t, platform.Query{}); err == nil {
		t.Error("a search without a region is taken where one is required")
	}
	w.config.Region = platform.Regions()[0]
	client, err := platform.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Search(t.Context(), platform.Query{}, func(platform.Log) bool { return true }); err != nil {
		t.Error(err)
	}
}

func TestAConfigIsCheckedWhole(t *testing.T) {
	_, err := platform.New(platform.Config{APIURL: "http://redox.example.com", Organization: "one", EnvironmentID: "a/b", Region: "MARS"})
	for _, field := range []string{"APIURL", "Organization", "EnvironmentID", "Region", "Tokens"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("the error names no %s: %v", field, err)
		}
	}
}
