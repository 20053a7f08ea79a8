package natsq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/jobindex"
)

// ErrNoIndex is that of a deployment without the stream of the job index.
var ErrNoIndex = errors.New("there is no job index: run `chartpost setup` with an operator's user; until then `chartpost jobs ls` reads every event")

// Index gives the index of the jobs.
func (c *Conn) Index() *jobindex.Index { return jobindex.New(indexedEvents{c}, segmentStore{c}) }

// VerifyIndex reports whether the stream of the job index is there and can be read.
// Delivery does not need it.
func (c *Conn) VerifyIndex(ctx context.Context) error {
	name := c.stream(index)
	missing := func(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err) }
	err := c.await(ctx, name, apiTimeout, missing, func(ctx context.Context) error {
		_, err := c.js.Stream(ctx, name)
		return err
	})
	if err != nil {
		return indexError(fmt.Errorf("%s: %w", titleOf(name), err))
	}
	return nil
}

func indexError(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w (%w)", ErrNoIndex, err)
	}
	return err
}

// indexedEvents implements jobindex.Events.
type indexedEvents struct{ conn *Conn }

func (e indexedEvents) Bounds(ctx context.Context) (b jobindex.Bounds, err error) {
	name := e.conn.stream(events)
	missing := func(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err) }
	err = e.conn.await(ctx, name, startPatience, missing, func(ctx context.Context) error {
		stream, err := e.conn.js.Stream(ctx, name)
		if err == nil {
			info := stream.CachedInfo()
			b = jobindex.Bounds{Born: info.Created, First: max(info.State.FirstSeq, 1), Last: info.State.LastSeq}
		}
		return err
	})
	if err != nil {
		return b, fmt.Errorf("%s: %w", titleOf(name), err)
	}
	return b, nil
}

// lagPause is how long a server of the stream that lags is given, and lagTries how often.
const (
	lagPause = 100 * time.Millisecond
	lagTries = 50
)

// Read asks any server of the stream, batch by batch, and waits for one that lags.
func (e indexedEvents) Read(ctx context.Context, from, to uint64, each func(jobindex.Event) bool) error {
	r := &eventsRead{conn: e.conn, next: from, to: to, each: each}
	for tries := 0; ; tries++ {
		if err := r.run(ctx); err != nil || r.enough {
			return err
		}
		// The servers say that there is no more; only the leader knows whether that is so.
		if _, there, err := e.At(ctx, to); err != nil || !there {
			return err
		}
		if tries == lagTries {
			return fmt.Errorf("reading the events: a server of %s is behind the others: try again", titleOf(e.conn.stream(events)))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lagPause):
		}
	}
}

// eventsRead is where a reading of the events has come to.
type eventsRead struct {
	conn     *Conn
	next, to uint64
	each     func(jobindex.Event) bool
	// enough says that the last one has come, or that each has had enough.
	enough bool
}

// run reads to the end, or to what the servers take for it.
func (r *eventsRead) run(ctx context.Context) error {
	stream := r.conn.stream(events)
	for more := true; more && !r.enough; {
		err := r.conn.await(ctx, "DIRECT.GET."+stream, startPatience, hopeless, func(ctx context.Context) (err error) {
			before := r.next
			question := map[string]any{"seq": before, "next_by_subj": r.conn.prefix + ".events.>", "batch": scanMessages, "max_bytes": scanBytes}
			var unread error
			more, err = r.conn.directBatch(ctx, stream, question, func(msg *nats.Msg) bool {
				var e jobindex.Event
				if e, unread = indexedEventOf(msg); unread == nil {
					r.take(e)
				}
				return unread == nil && !r.enough
			})
			more = more && r.next > before
			return errors.Join(unread, err)
		})
		if err != nil {
			return fmt.Errorf("reading the events: %w", err)
		}
	}
	return nil
}

func (r *eventsRead) take(e jobindex.Event) {
	if e.Sequence > r.to {
		r.enough = true
		return
	}
	r.next = e.Sequence + 1
	r.enough = !r.each(e) || r.next > r.to
}

// At asks the leader.
func (e indexedEvents) At(ctx context.Context, sequence uint64) (event jobindex.Event, ok bool, err error) {
	stream := e.conn.stream(events)
	gone := func(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) || hopeless(err) }
	err = e.conn.await(ctx, "MSG.GET."+stream, startPatience, gone, func(ctx context.Context) error {
		msg, err := e.conn.fromLeader(ctx, stream, leaderGet{Sequence: sequence})
		if err == nil {
			event, ok = jobindex.Event{Sequence: sequence, Stored: msg.Time, Data: msg.Data}, true
		}
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return event, false, nil
	}
	return event, ok, err
}

func indexedEventOf(msg *nats.Msg) (jobindex.Event, error) {
	sequence, stored, err := placeOf(msg)
	return jobindex.Event{Sequence: sequence, Stored: stored, Data: msg.Data}, err
}

// headerSpan is on a segment: its span, for who lists them without their data.
const headerSpan = "Chartpost-Span"

// segmentStore implements jobindex.Store.
type segmentStore struct{ conn *Conn }

func (s segmentStore) subject() string { return s.conn.prefix + ".index.segment" }

// List reads the headers of all segments, some 200 bytes each.
func (s segmentStore) List(ctx context.Context, each func(jobindex.Entry)) (last uint64, err error) {
	name := s.conn.stream(index)
	missing := func(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err) }
	err = s.conn.await(ctx, name, startPatience, missing, func(ctx context.Context) error {
		stream, err := s.conn.js.Stream(ctx, name)
		if err == nil {
			last = stream.CachedInfo().State.LastSeq
		}
		return err
	})
	if err != nil || last == 0 {
		return 0, indexError(err)
	}
	// Whoever may not make the consumer is told so at once.
	ctx, done := s.conn.denials.watch(ctx, "CONSUMER.CREATE."+name)
	defer done()
	r := &reading{
		conn: s.conn, stream: index, what: "the segments of the job index", headersOnly: true, last: last,
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
			if span, err := parseSpan(msg.Headers().Get(headerSpan)); err == nil {
				each(jobindex.Entry{Sequence: meta.Sequence.Stream, Span: span})
			}
			return true
		},
	}
	if err := r.run(ctx); err != nil {
		if denied, ok := errors.AsType[*Denied](context.Cause(ctx)); ok {
			return 0, denied
		}
		return 0, indexError(err)
	}
	return last, nil
}

func (s segmentStore) Load(ctx context.Context, sequence uint64) (data []byte, ok bool, err error) {
	name := s.conn.stream(index)
	err = s.conn.await(ctx, "DIRECT.GET."+name, startPatience, hopeless, func(ctx context.Context) error {
		msg, err := s.conn.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+name, fmt.Appendf(nil, `{"seq":%d}`, sequence))
		if err != nil {
			return err
		}
		switch status := msg.Header.Get("Status"); {
		case status == "404":
		case status != "":
			return fmt.Errorf("%s answered %s", titleOf(name), status)
		default:
			data, ok = msg.Data, true
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading the job index: %w", err)
	}
	return data, ok, nil
}

func (s segmentStore) Append(ctx context.Context, span jobindex.Span, data []byte, after uint64) (uint64, error) {
	msg := nats.NewMsg(s.subject())
	msg.Header.Set(headerSpan, formSpan(span))
	msg.Data = data
	ctx, done := s.conn.denials.watch(ctx, s.subject())
	defer done()
	ack, err := s.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequence(after), jetstream.WithExpectStream(s.conn.stream(index)))
	switch denied, ok := errors.AsType[*Denied](context.Cause(ctx)); {
	case err == nil:
		return ack.Sequence, nil
	case ok:
		return 0, denied
	case lostRace(err):
		return 0, jobindex.ErrRaced
	}
	return 0, fmt.Errorf("writing the job index: %w", err)
}

// formSpan gives a span as five numbers; times are nanoseconds since 1970.
func formSpan(s jobindex.Span) string {
	return fmt.Sprintf("%d %d %d %d %d", s.From, s.Last, s.Since.UnixNano(), s.Until.UnixNano(), s.Born.UnixNano())
}

var errSpan = errors.New("a segment of the job index does not say what it stands for")

func parseSpan(text string) (s jobindex.Span, err error) {
	fields := strings.Fields(text)
	if len(fields) < 5 { // a later version may say more
		return s, errSpan
	}
	var n [5]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil || n[i] < 0 {
			return s, errSpan
		}
	}
	at := func(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }
	return jobindex.Span{From: uint64(n[0]), Last: uint64(n[1]), Since: at(n[2]), Until: at(n[3]), Born: at(n[4])}, nil
}
