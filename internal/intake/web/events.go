package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/schemas"
)

// aliveEvery is how often a stream without events says that it stands.
const aliveEvery = 15 * time.Second

// getEvents follows the events of the caller's destinations as server-sent events (HTML
// Living Standard, 9.2). An event's id is its place in the stream of events, from which a
// later request goes on: Last-Event-ID.
func (a *API) getEvents(c *call) error {
	if c.r.Method == http.MethodHead {
		return notAllowed("GET")(c)
	}
	query := c.r.URL.Query()
	feed, err := feedOf(c.grant, query)
	if err != nil {
		return err
	}
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		if feed.After, err = strconv.ParseUint(last, 10, 63); err != nil {
			return &intake.Refusal{Kind: intake.Invalid, Code: "last_event_id_invalid", Detail: "Last-Event-ID is none of this stream's"}
		}
	}
	labels, err := labelsOf(query["correlation"])
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.r.Context())
	defer stop()
	defer context.AfterFunc(a.ending, stop)()
	if until := c.grant.Until; !until.IsZero() {
		// Whoever may go on shows that again.
		defer time.AfterFunc(time.Until(until), stop).Stop()
	}
	s := newStream(c)
	var alive sync.WaitGroup
	alive.Go(func() { s.keepAlive(ctx, stop) })
	defer func() { stop(); alive.Wait() }()
	err = a.Events.Follow(ctx, feed, func(after uint64) error { return s.start(feed.After, after) }, func(place uint64, event schemas.Event, data []byte) bool {
		if !carries(event.Data.Correlation, labels) {
			return s.seen(place)
		}
		return s.event(place, data)
	})
	if err != nil && c.status == 0 && ctx.Err() == nil {
		return &intake.Refusal{Kind: intake.Unavailable, Code: "events_unavailable", Detail: "the events cannot be read at the moment; ask again", RetryAfter: 5 * time.Second, Cause: err}
	}
	return nil
}

// feedOf is what the caller asks for, as far as it may have it.
func feedOf(grant intake.Grant, query url.Values) (Feed, error) {
	var feed Feed
	for _, class := range query["class"] {
		if !slices.Contains(grant.Classes, schemas.Class(class)) {
			return Feed{}, badQuery("class", "names a class that is none of this caller's")
		}
		feed.Classes = append(feed.Classes, schemas.Class(class))
	}
	if len(feed.Classes) == 0 && len(grant.Classes) == 1 {
		feed.Classes = grant.Classes
	}
	for _, destination := range query["destination"] {
		if !schemas.ValidAddress(destination) || !grant.Reaches(destination) {
			return Feed{}, badQuery("destination", "names a destination that is none of this caller's")
		}
		feed.Destinations = append(feed.Destinations, destination)
	}
	if len(feed.Destinations) == 0 && !grant.Everywhere() {
		feed.Destinations = grant.Destinations
	}
	for _, status := range query["status"] {
		if !word(status) {
			return Feed{}, badQuery("status", "names a status that events do not have")
		}
		feed.Statuses = append(feed.Statuses, schemas.Status(status))
	}
	if len(feed.Statuses) > 16 || len(query["destination"]) > 100 {
		return Feed{}, badQuery("status", "or destination is there too often")
	}
	return feed, nil
}

// word reports whether a status can be one token of a subject.
func word(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

// labelsOf reads correlation=name:value.
func labelsOf(texts []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" || len(texts) > 10 {
			return nil, badQuery("correlation", "must be name:value, at most ten times")
		}
		labels[name] = value
	}
	return labels, nil
}

func carries(have, wanted map[string]string) bool {
	for name, value := range wanted {
		if got, ok := have[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// stream writes server-sent events. Each write has its time: a caller that does not read
// loses the stream, and goes on later from what it has read.
type stream struct {
	call *call
	conn *http.ResponseController
	// turn is held by who writes.
	turn chan struct{}
	// last is the place of the last event that was passed over since one was written.
	last uint64
}

func newStream(c *call) *stream {
	s := &stream{call: c, conn: http.NewResponseController(c.w), turn: make(chan struct{}, 1)}
	return s
}

// start begins the answer. asked is where the caller wanted to go on, and after where the
// stream does: where that is less, its events were made again.
func (s *stream) start(asked, after uint64) error {
	header := s.call.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.call.status = http.StatusOK
	s.call.w.WriteHeader(http.StatusOK)
	if asked > after {
		return s.write(fmt.Sprintf("event: reset\nid: %d\ndata: {\"reason\":\"the events were made again; those before are gone\"}\n\n", after))
	}
	return s.write(fmt.Sprintf(": begins behind %d\n\n", after))
}

func (s *stream) event(place uint64, data []byte) bool {
	var line bytes.Buffer
	if json.Compact(&line, data) != nil {
		return true
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.last = 0
	return s.write(fmt.Sprintf("id: %d\nevent: job\ndata: %s\n\n", place, line.Bytes())) == nil
}

// seen notes an event that is not the caller's to read, so that a later request need not
// pass over it again.
func (s *stream) seen(place uint64) bool {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.last = place
	return true
}

func (s *stream) write(text string) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.call.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.conn.Flush()
}

// keepAlive shows a proxy, and this server, that the other side is still there.
func (s *stream) keepAlive(ctx context.Context, stop func()) {
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.alive() != nil {
			stop()
			return
		}
	}
}

func (s *stream) alive() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	switch {
	case s.call.status == 0:
		return nil // it has not begun
	case s.last > 0:
		place := s.last
		s.last = 0
		return s.write(fmt.Sprintf("id: %d\n: alive\n\n", place))
	}
	return s.write(": alive\n\n")
}
