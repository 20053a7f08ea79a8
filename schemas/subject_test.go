package schemas

import (
	"regexp"
	"strings"
	"testing"
)

func TestToken(t *testing.T) {
	for address, token := range map[string]string{
		"good-health":   "good-health",
		"Good.Health_1": "Good_2EHealth_5F1",
		"a~b":           "a_7Eb",
		"é *>":          "_C3_A9_20_2A_3E",
		"\x00\xff":      "_00_FF",
		"":              "",
	} {
		if got := Token(address); got != token {
			t.Errorf("Token(%q) = %q, want %q", address, got, token)
		}
		if back, err := ParseToken(token); token != "" && (err != nil || back != address) {
			t.Errorf("ParseToken(%q) = %q, %v", token, back, err)
		}
	}
	for _, token := range []string{"", "_", "_2", "a_", "_2e", "_2G", "_41", "_2D", "_30", "a.b", "a b", "*", ">", "é", "__"} {
		if back, err := ParseToken(token); err == nil {
			t.Errorf("ParseToken(%q) = %q, want an error", token, back)
		}
	}
}

func TestSubjects(t *testing.T) {
	lane := Lane{Class: Backfill, Destination: "good.health"}
	for _, c := range []struct{ got, want string }{
		{JobSubject("chartpost", lane), "chartpost.jobs.backfill.good_2Ehealth"},
		{EventSubject("chartpost", lane, StatusAccepted), "chartpost.events.backfill.good_2Ehealth.accepted"},
		{DeadSubject("chartpost", lane), "chartpost.dead.backfill.good_2Ehealth"},
		{LaterSubject("chartpost", KeyOf(lane, "a_1")), "chartpost.later.good_2Ehealth.a_1"},
		{DueSubject("chartpost", lane), "chartpost.due.backfill.good_2Ehealth"},
		{lane.Tail(), "backfill.good_2Ehealth"},
		{lane.Name(), "backfill-good_2Ehealth"},
		{StreamName("chart-post1", "JOBS"), "CHART-POST1_JOBS"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func lane(class Class, destination string) Lane { return Lane{Class: class, Destination: destination} }

func TestParseJobSubject(t *testing.T) {
	for _, lane := range []Lane{lane(Live, "a"), lane(Backfill, "~a.b_c-D9"), lane(Live, strings.Repeat("_", 128))} {
		got, err := ParseJobSubject("p-1", JobSubject("p-1", lane))
		if err != nil || got != lane {
			t.Errorf("%v: %v, %v", lane, got, err)
		}
	}
	for _, subject := range []string{
		"", "p-1", "p-1.jobs", "p-1.jobs.", "p-1.jobs.live", "p-1.jobs.live.", "p-1.jobs.live.a.b", "p-1.jobs.urgent.a", "p-1.jobs..a",
		"p-1.jobs.Live.a", "q.jobs.live.a", "p-1x.jobs.live.a", "p-1.dead.live.a", "p-1.jobs.live.*", "p-1.jobs.live.>",
		"p-1.jobs.live._2Ea", "p-1.jobs.live._2E_2E", "p-1.jobs.live.a_2Fb", "p-1.jobs.live._FF", "p-1.jobs.live." + strings.Repeat("a", 129),
	} {
		lane, err := ParseJobSubject("p-1", subject)
		if err == nil {
			t.Errorf("%q: %v, want an error", subject, lane)
		} else if subject != "" && strings.Contains(err.Error(), subject) {
			t.Errorf("%q is quoted: %v", subject, err)
		}
	}
}

// A subject of the right shape is served whatever it names, and tells nothing
// of what it says but where its jobs are.
func TestServedLane(t *testing.T) {
	proper := lane(Live, "good_health")
	if got, err := ServedLane("p-1", JobSubject("p-1", proper)); err != nil || got != proper || got.Stray() {
		t.Errorf("%v, %v", got, err)
	}
	legal := regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	names := map[string]bool{}
	for _, token := range []string{"good_health", "_", "_2d", "_41", "a b", "é", "a*", "<p", "_xab", strings.Repeat("a", 3000), "_2Ea", "\x01"} {
		for _, class := range []Class{Live, Backfill} {
			subject := "p-1.jobs." + string(class) + "." + token
			got, err := ServedLane("p-1", subject)
			if err != nil || !got.Stray() || got.Class != class || got.Destination != Misaddressed {
				t.Errorf("%.20q: %v, %v", token, got, err)
			}
			if JobSubject("p-1", got) != subject {
				t.Errorf("%.20q: its jobs are looked for at %q", token, JobSubject("p-1", got))
			}
			if names[got.Name()] || !legal.MatchString(got.Name()) {
				t.Errorf("%.20q has the name %q", token, got.Name())
			}
			names[got.Name()] = true
			if got == lane(class, Misaddressed) || got.Name() == lane(class, Misaddressed).Name() {
				t.Errorf("%.20q is a proper lane", token)
			}
			for _, shown := range []string{got.Tail(), EventSubject("p-1", got, StatusFailed), DeadSubject("p-1", got)} {
				if !strings.Contains(shown, string(class)+"._7Emisaddressed") {
					t.Errorf("%.20q shows in %q", token, shown)
				}
			}
		}
	}
	for _, subject := range []string{
		"", "p-1.jobs.live", "p-1.jobs.live.", "p-1.jobs.live.a.b", "p-1.jobs.live._.b", "p-1.jobs.urgent.a", "q.jobs.live._", "p-1.dead.live._",
		"p-1.jobs.live.*", "p-1.jobs.live.>", "p-1.jobs.live.a>b", "p-1.jobs.live.\xff", "p-1.jobs.live.a\ufffd",
	} {
		if got, err := ServedLane("p-1", subject); err == nil {
			t.Errorf("%q: %v, want an error", subject, got)
		}
	}
}

func TestParseTail(t *testing.T) {
	want := lane(Backfill, "a.b")
	if got, err := ParseTail(want.Tail()); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	for _, tail := range []string{"", "live", "live.", "live.a.b", "live._", "urgent.a"} {
		if got, err := ParseTail(tail); err == nil {
			t.Errorf("%q: %v", tail, got)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	for prefix, ok := range map[string]bool{
		"chartpost": true, "a": true, "a-1": true, strings.Repeat("a", 32): true,
		"": false, "1a": false, "-a": false, "A": false, "aB": false, "a_b": false, "a.b": false, "a b": false, strings.Repeat("a", 33): false,
	} {
		if err := CheckPrefix(prefix); (err == nil) != ok {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"good-health", "a.b_c", "_2E", "\xff", "__"} {
		f.Add(s)
	}
	legal := regexp.MustCompile(`^[A-Za-z0-9_-]*$`)
	f.Fuzz(func(t *testing.T, s string) {
		token := Token(s)
		if !legal.MatchString(token) {
			t.Fatalf("%q is no token", token)
		}
		if back, err := ParseToken(token); s != "" && (err != nil || back != s) {
			t.Fatalf("%q comes back as %q, %v", s, back, err)
		}
		if address, err := ParseToken(s); err == nil && Token(address) != s {
			t.Fatalf("%q parses but is not canonical", s)
		}
	})
}

func FuzzServedLane(f *testing.F) {
	for _, s := range []string{"good-health", "a.b_c", "_2E", "\xff", "__", "*", "_xab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		subject := "p.jobs.live." + token
		got, err := ServedLane("p", subject)
		if err != nil {
			return
		}
		if JobSubject("p", got) != subject {
			t.Fatalf("%q is served as %q", subject, JobSubject("p", got))
		}
		if _, err := ParseJobSubject("p", subject); (err != nil) != got.Stray() {
			t.Fatalf("%q is stray: %v", token, got.Stray())
		}
		if !ValidAddress(got.Destination) || len(got.Name()) > 400 {
			t.Fatalf("%q: %q %q", token, got.Destination, got.Name())
		}
	})
}
