package platform

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// A log's steps are seen when their time and Visible have passed, by id and in
// searches alike.
func TestALogShowsWhatCanBeSeen(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	a := New(Config{Now: func() time.Time { return now }})
	script := RetriedByHand(time.Hour)
	script.Visible = time.Minute
	a.Script("lab", script)
	a.Arrived(Message{LogID: "x", Destination: "lab"})
	for _, c := range []struct {
		after  time.Duration
		status int
		shows  string
	}{
		{0, 404, "log-not-visible"}, {time.Minute, 200, `"status":"failed"`}, {time.Hour, 200, `"status":"failed"`}, {time.Hour + time.Minute, 200, `"status":"succeeded"`},
	} {
		now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC).Add(c.after)
		status, body, _ := a.Serve(&url.URL{Path: "/platform/v1/organizations/1/logs/x"}, nil)
		if status != c.status || !strings.Contains(string(body), c.shows) {
			t.Errorf("after %s: %d %s, want %d and %s", c.after, status, body, c.status, c.shows)
		}
	}
	if truths := a.Truths(); len(truths) != 1 || truths[0].Status != Succeeded || truths[0].Attempts != 2 {
		t.Errorf("the truth is %+v", truths)
	}
}

func TestASearchRefusesWhatItDoesNotKnow(t *testing.T) {
	a := New(Config{})
	path := "/platform/v1/environments/" + a.EnvironmentID("Staging") + "/logs/search/metadata"
	for _, c := range []struct{ query, body, rule string }{
		{"_count=51", `{}`, "count"}, {"_count=0", `{}`, "count"}, {"_page=2&_cursor=%21", `{}`, "cursor"},
		{"", `{"dateMode":"backfill"}`, "search-body"}, {"", `{"createdAfter":"yesterday"}`, "date-time"},
	} {
		status, _, rule := a.Serve(&url.URL{Path: path, RawQuery: c.query}, []byte(c.body))
		if status != 400 || rule != c.rule {
			t.Errorf("%s %s: %d %s, want 400 %s", c.query, c.body, status, rule, c.rule)
		}
	}
}
