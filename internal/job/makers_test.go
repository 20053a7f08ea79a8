package job

import (
	"fmt"
	"testing"
)

func TestMakersAreInOrder(t *testing.T) {
	var report Makers
	for _, one := range []Maker{{"amend-2", true, 12}, {"create", false, 20}, {"amend-1", true, 11}} {
		if !report.Add(one) || report.Add(one) {
			t.Errorf("%s: want it added once", one.ID)
		}
	}
	for id, want := range map[string]string{"create": "", "amend-1": "create", "amend-2": "amend-1", "unknown": ""} {
		if got := report.Before(id); got != want {
			t.Errorf("before %s comes %q, want %q", id, got, want)
		}
	}
	for id, want := range map[string]string{"replaces it": "amend-2", "amend-2": "amend-1"} {
		if got := report.Last(id); got != want {
			t.Errorf("the last but %s is %q, want %q", id, got, want)
		}
	}
	if got := (&Makers{}).Last("a"); got != "" {
		t.Errorf("the last job of an unknown document is %q", got)
	}
}

func TestMakersAreBounded(t *testing.T) {
	var m Makers
	for i := range 100 {
		m.Add(Maker{ID: fmt.Sprint(i), Amends: true, Sequence: uint64(i)})
	}
	if len(m.Jobs) != mostMakers || m.Jobs[len(m.Jobs)-1].ID != "99" {
		t.Errorf("%d jobs, the last is %s", len(m.Jobs), m.Jobs[len(m.Jobs)-1].ID)
	}
	// One that has left the list does not come back in front of those that are in it, nor
	// behind them.
	if m.Add(Maker{ID: "5", Amends: true, Sequence: 5}) || m.Before("5") != "" || m.Before("68") != "" {
		t.Errorf("job 5 is back, behind %q; the first is behind %q", m.Before("5"), m.Before("68"))
	}
}
