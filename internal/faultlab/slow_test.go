package faultlab

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// TestSlow lets every answer take longer than the lease: nothing is sent twice,
// since a worker renews the lease of what it has in hand.
func TestSlow(t *testing.T) {
	onGrounds(t, "slow", 1, func(t *testing.T, g ground) {
		c := crew{workers: 2, slots: 8, laneSlots: 8, lease: sized(15*time.Second, 3*time.Second), grace: time.Minute, answer: 2 * time.Minute}
		l := newLab(t, g, c)
		for _, kind := range []redoxsim.Kind{redoxsim.MessageRequest, redoxsim.UploadRequest} {
			slow := redoxsim.Fault{Match: redoxsim.Match{Kind: kind}, Action: redoxsim.DelayAnswer, Delay: c.lease + 2*time.Second}
			if err := l.redox.sim.Inject(slow); err != nil {
				t.Fatal(err)
			}
		}
		l.fleet.start()
		l.publish(t.Context(), load{name: "slow", jobs: jobs(sized(12, 200)), destinations: destinations("hospital", 4), largest: 20_000})
		l.drained(t.Context())
		l.close(Rules{AllAccepted: true, NoRepeats: true, Term: c.grace + patience})
		if a := l.books.Attempts(); a.Total > 0 {
			t.Errorf("slow answers cost attempts: %s", a)
		}
		if have, want := len(l.books.Uploads), l.books.filesToUpload(); have != want {
			t.Errorf("Redox took %d files, %d were to upload", have, want)
		}
	})
}
