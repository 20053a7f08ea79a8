package natsq

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chartpost/chartpost/schemas"
)

func TestEventFeedFilters(t *testing.T) {
	many := make([]string, mostFilters+1)
	for i := range many {
		many[i] = fmt.Sprintf("clinic-%d", i)
	}
	statuses := make([]schemas.Status, 16)
	for i := range statuses {
		statuses[i] = schemas.Status(fmt.Sprintf("status%c", 'a'+i))
	}
	for name, c := range map[string]struct {
		feed EventFeed
		want []string
	}{
		"all":          {EventFeed{}, []string{"p.events.*.*.*"}},
		"a class":      {EventFeed{Classes: []schemas.Class{schemas.Live}}, []string{"p.events.live.*.*"}},
		"destinations": {EventFeed{Destinations: []string{"a", "b_c"}}, []string{"p.events.*.a.*", "p.events.*.b_5Fc.*"}},
		"statuses":     {EventFeed{Destinations: []string{"a"}, Statuses: []schemas.Status{"failed", "accepted"}}, []string{"p.events.*.a.failed", "p.events.*.a.accepted"}},
		"too many":     {EventFeed{Destinations: many}, []string{"p.events.>"}},
		// JetStream refuses filters that overlap.
		"twice": {EventFeed{Classes: []schemas.Class{"live", "live"}, Destinations: []string{"a", "a"}, Statuses: []schemas.Status{"failed", "failed"}}, []string{"p.events.live.a.failed"}},
		// What is picked out here passes through this process: another's events do not.
		"too many statuses": {EventFeed{Destinations: many[:5], Statuses: statuses}, []string{"p.events.*.clinic-0.*", "p.events.*.clinic-1.*", "p.events.*.clinic-2.*", "p.events.*.clinic-3.*", "p.events.*.clinic-4.*"}},
	} {
		if got := c.feed.filters("p"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	wants := EventFeed{Destinations: many, Classes: []schemas.Class{schemas.Live}}.wants()
	for _, c := range []struct {
		data schemas.EventData
		want bool
	}{
		{schemas.EventData{Class: schemas.Live, Destination: "clinic-3"}, true},
		{schemas.EventData{Class: schemas.Backfill, Destination: "clinic-3"}, false},
		{schemas.EventData{Class: schemas.Live, Destination: "another"}, false},
	} {
		if wants(c.data) != c.want {
			t.Errorf("%+v: %t", c.data, !c.want)
		}
	}
}
