package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/conf"
)

// role file, read.
type permissions struct{ publish, subscribe []string }

func readRole(t *testing.T, file string) permissions {
	t.Helper()
	parsed, err := conf.ParseFile(file)
	must(t, err)
	list := func(verb string) []string {
		block, _ := parsed[verb].(map[string]any)
		values, _ := block["allow"].([]any)
		var subjects []string
		for _, v := range values {
			subjects = append(subjects, v.(string))
		}
		if len(subjects) == 0 || len(block) != 1 {
			t.Fatalf("%s: %s must have a list of what is allowed, and nothing else", file, verb)
		}
		return subjects
	}
	delete(parsed, "allow_responses")
	if len(parsed) != 2 {
		t.Fatalf("%s: it must have publish and subscribe", file)
	}
	return permissions{list("publish"), list("subscribe")}
}

// everythingWasUsed holds the roles to what they did. Permissions that start
// with unused are those of a server that is set otherwise.
func (s *site) everythingWasUsed(unused string) {
	s.t.Helper()
	dir := filepath.Join(s.settings, "roles")
	for _, role := range roles {
		allowed := readRole(s.t, filepath.Join(dir, role+".conf"))
		published, subscribed := s.nats.used(s.ids, role)
		if len(published) == 0 || len(subscribed) == 0 {
			s.t.Errorf("%s: the trace of the server shows nothing of it", role)
		}
		for _, list := range []struct {
			verb    string
			allowed []string
			used    map[string]bool
		}{{"publish", allowed.publish, published}, {"subscribe", allowed.subscribe, subscribed}} {
			for _, pattern := range list.allowed {
				if !strings.HasPrefix(pattern, unused) {
					s.wasUsed(role, list.verb, pattern, list.used)
				}
			}
		}
	}
}

func (s *site) wasUsed(role, verb, pattern string, used map[string]bool) {
	s.t.Helper()
	for subject := range used {
		if matches(pattern, subject) {
			return
		}
	}
	s.t.Errorf("%s may %s to %s, and nothing it did needed that", role, verb, pattern)
}

// matches tells whether a subject is one of a pattern's. A subscription's own
// wildcards count as tokens.
func matches(pattern, subject string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have), token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}

// TestEveryRoleIsHere: a role without a test is none.
func TestEveryRoleIsHere(t *testing.T) {
	files, err := os.ReadDir(filepath.Join("nats", "roles"))
	must(t, err)
	var found []string
	for _, f := range files {
		found = append(found, strings.TrimSuffix(f.Name(), ".conf"))
	}
	want := slices.Sorted(slices.Values(roles))
	if !slices.Equal(found, want) {
		t.Errorf("the roles are %v, tested are %v", found, want)
	}
}
