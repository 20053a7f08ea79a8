package joblist_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/internal/joblist"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// stocked has two full segments of events, and in each a job of order 1 and 2.
func stocked(t *testing.T) *world {
	w := newWorld(t)
	w.stock()
	if p := w.build(); p.Segments != 2 || p.Events != 2*segment {
		t.Fatalf("%+v", p)
	}
	w.holds("built", 0)
	return w
}

func (w *world) stock() {
	w.t.Helper()
	w.tell("one", schemas.StatusAccepted, with("order", "1"))
	w.fill("first", segment-1)
	w.tell("two", schemas.StatusFailed, with("order", "2"))
	w.fill("second", segment-1)
}

// holds makes sure that both jobs are found, and how many events had to be read for it.
func (w *world) holds(what string, unindexed int) {
	w.t.Helper()
	p := w.lists(what, order("1"), "one accepted")
	w.lists(what, order("2"), "two failed")
	if got := p.Cost.Index.Unindexed; got != unindexed {
		w.t.Errorf("%s: %d events without a segment were read, want %d", what, got, unindexed)
	}
}

func (w *world) stream(name string) jetstream.Stream {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), name)
	must(w.t, err)
	return s
}

const (
	eventsStream = "CHARTPOST_EVENTS"
	indexStream  = "CHARTPOST_INDEX"
)

func TestAPassAddsWhatFillsASegment(t *testing.T) {
	w := stocked(t)
	w.fill("third", segment-1)
	if p := w.build(); p.Segments != 0 {
		t.Errorf("a part of a segment was written: %+v", p)
	}
	w.fill("last", 1)
	if p := w.build(); p.Segments != 1 || p.Covered != 3*segment {
		t.Errorf("%+v", p)
	}
	w.holds("three segments", 0)
}

func TestALostSegmentIsBuiltAgain(t *testing.T) {
	for lost := range uint64(2) {
		w := stocked(t)
		w.fill("third", segment)
		w.build()
		must(t, w.stream(indexStream).DeleteMsg(t.Context(), lost+1))
		w.holds("without it", segment)
		if p := w.build(); p.Segments != 1 || p.Events != segment {
			t.Errorf("%+v", p)
		}
		w.holds("built again", 0)
	}
}

func TestALostIndexIsBuiltAgain(t *testing.T) {
	w := stocked(t)
	must(t, w.js.DeleteStream(t.Context(), indexStream))
	if _, err := w.tryList(t.Context(), w.Index(), order("1")); !errors.Is(err, natsq.ErrNoIndex) {
		t.Errorf("%v", err)
	}
	if _, err := w.Index().Build(t.Context(), always); !errors.Is(err, natsq.ErrNoIndex) || !strings.Contains(err.Error(), "chartpost setup") {
		t.Errorf("%v", err)
	}
	_, err := w.Setup(t.Context(), layout)
	must(t, err)
	w.holds("made again", 2*segment)
	if p := w.build(); p.Segments != 2 {
		t.Errorf("%+v", p)
	}
	w.holds("built again", 0)
}

// TestADamagedSegment: its events are read, and it is told from a segment of its own.
func TestADamagedSegment(t *testing.T) {
	w := stocked(t)
	index := w.stream(indexStream)
	first, err := index.GetMsg(t.Context(), 1)
	must(t, err)
	_, err = w.js.PublishMsg(t.Context(), natsMsg(first.Subject, nats.Header{"Chartpost-Span": first.Header["Chartpost-Span"]}, first.Data[:len(first.Data)-2]))
	must(t, err)
	_, err = w.js.PublishMsg(t.Context(), natsMsg(first.Subject, nil, []byte("stray")))
	must(t, err)
	w.holds("damaged", segment)
}

func TestTwoBuilders(t *testing.T) {
	w := newWorld(t)
	w.stock()
	w.fill("more", 4*segment)
	passes, errs := make([]jobindex.Pass, 4), make([]error, 4)
	done := make(chan int)
	for i := range passes {
		go func() { passes[i], errs[i] = w.Index().Build(t.Context(), always); done <- i }()
	}
	for range passes {
		<-done
	}
	must(t, errors.Join(errs...))
	segments := 0
	for _, p := range passes {
		segments += p.Segments
	}
	// One may lose the first race, and another go on until it loses one: what was
	// written was written once.
	if p := w.build(); segments+p.Segments != 6 || p.Raced {
		t.Errorf("%d segments by four at once, and then %+v: want 6 in all", segments, p)
	}
	w.holds("by many", 0)
}

func TestRetentionAndGaps(t *testing.T) {
	w := stocked(t)
	stream := w.stream(eventsStream)
	// Removed by a limit, within the first segment.
	must(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(segment/4)))
	w.lists("removed", order("1"))
	p := w.lists("kept", order("2"), "two failed")
	if p.Cost.Index.Unindexed != 0 {
		t.Errorf("%+v", p.Cost)
	}
	if p := w.build(); p.Segments != 0 {
		t.Errorf("what is removed is indexed: %+v", p)
	}
	// Removed one by one, the last event of a segment too: it is built again without it.
	for _, n := range []uint64{segment + 20, segment + 21, 2 * segment} {
		must(t, stream.DeleteMsg(t.Context(), n))
	}
	w.fill("third", segment)
	w.build()
	w.lists("with gaps", order("2"), "two failed")
	if p := w.build(); p.Segments != 0 {
		t.Errorf("it does not come to rest: %+v", p)
	}
	// All of them.
	must(t, stream.Purge(t.Context()))
	w.lists("none", joblist.Query{})
	w.tell("new", schemas.StatusAccepted, with("order", "1"))
	w.lists("a new one", order("1"), "new accepted")
	w.build()
	w.lists("a new one", order("1"), "new accepted")
}

// TestEventsOfAnotherStream: the stream was made again, and its sequences mean other jobs.
func TestEventsOfAnotherStream(t *testing.T) {
	w := stocked(t)
	must(t, w.js.DeleteStream(t.Context(), eventsStream))
	_, err := w.Setup(t.Context(), layout)
	must(t, err)
	w.fill("other", segment)
	w.tell("other", schemas.StatusFailed, with("order", "1"))
	w.lists("before a pass", order("1"), "other failed")
	if p := w.build(); p.Segments != 1 {
		t.Errorf("%+v", p)
	}
	p := w.lists("after it", order("1"), "other failed")
	if p.Cost.Index.Unindexed != 1 {
		t.Errorf("%+v", p.Cost)
	}
}

// TestEventsThatACrashTook: a server that lost its last events uses their sequences again.
// A segment of the lost ones does not know those that are there now.
func TestEventsThatACrashTook(t *testing.T) {
	w := stocked(t)
	second, err := w.stream(indexStream).GetMsg(t.Context(), 2)
	must(t, err)
	fields := strings.Fields(second.Header.Get("Chartpost-Span"))
	fields[3] = fmt.Sprint(time.Now().UnixNano()) // the last event was stored at another time
	stale := nats.Header{"Chartpost-Span": {strings.Join(fields, " ")}}
	for range 2 {
		_, err = w.js.PublishMsg(t.Context(), natsMsg(second.Subject, stale, second.Data[:18]))
		must(t, err)
	}
	w.holds("lost", segment)
	if p := w.build(); p.Segments != 1 || p.Events != segment {
		t.Errorf("%+v", p)
	}
	w.holds("built again", 0)
}

// TestWhatIsNoEvent is passed over.
func TestWhatIsNoEvent(t *testing.T) {
	w := newWorld(t)
	_, err := w.js.Publish(t.Context(), "chartpost.events.live.good-health.accepted", []byte("Zebedee"))
	must(t, err)
	w.stock()
	w.build()
	w.holds("around it", 1)
}

// TestTheIndexHoldsHashesAlone: no id, destination, reason or correlation stands in it.
func TestTheIndexHoldsHashesAlone(t *testing.T) {
	w := newWorld(t)
	planted := []string{"Zebedee", "ward-seven", "order", "good-health", "clinic-4711", "file_missing", "first-", "failed"}
	w.tell("Zebedee", schemas.StatusFailed, with("order", "Zebedee", "ward-seven", "b"), to("clinic-4711", schemas.Live))
	w.fill("first", segment)
	if p := w.build(); p.Segments != 1 {
		t.Fatalf("%+v", p)
	}
	msg, err := w.stream(indexStream).GetMsg(t.Context(), 1)
	must(t, err)
	said := msg.Subject + fmt.Sprint(msg.Header) + string(msg.Data)
	for _, word := range planted {
		if strings.Contains(said, word) {
			t.Errorf("%q stands in the index", word)
		}
	}
	// Two segments of the same events are not alike.
	must(t, w.stream(indexStream).DeleteMsg(t.Context(), 1))
	w.build()
	again, err := w.stream(indexStream).GetMsg(t.Context(), 2)
	must(t, err)
	if bytes.Equal(again.Data[100:200], msg.Data[100:200]) {
		t.Error("the hashes have no salt")
	}
}

// TestRun builds behind the events, and begins again where another had the tenure.
func TestRun(t *testing.T) {
	w := newWorld(t)
	w.stock()
	mine := make(chan bool, 1)
	mine <- false
	passes := make(chan jobindex.Pass, 100)
	pace := jobindex.Pace{Every: 10 * time.Millisecond, Survey: time.Hour}
	go w.Index().Run(t.Context(), pace, func() bool { m := <-mine; mine <- m; return m }, func(p jobindex.Pass, err error) {
		if err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		passes <- p
	})
	<-mine
	mine <- true
	if p := <-passes; p.Segments != 2 {
		t.Errorf("%+v", p)
	}
	w.fill("more", segment)
	if p := <-passes; p.Segments != 1 {
		t.Errorf("%+v", p)
	}
	w.holds("built", 0)
}

// TestReplicated builds and asks on three servers, whose leader is killed.
func TestReplicated(t *testing.T) {
	t.Parallel()
	c := devtest.Cluster(t, 3)
	l := layout
	l.Replicas = 3
	w := join(t, c.URL(), l)
	w.stock()
	devtest.Until(t, "it is built", limit, func() bool {
		p, err := w.Index().Build(t.Context(), always)
		return err == nil && p.Covered == 2*segment
	})
	w.fill("third", segment)
	leader, err := c.StreamLeader(t.Context(), indexStream)
	must(t, err)
	must(t, c.Nodes[leader].Kill())
	devtest.Until(t, "it goes on", limit, func() bool {
		p, err := w.Index().Build(t.Context(), always)
		return err == nil && p.Covered == 3*segment
	})
	w.holds("on two servers", 0)
}
