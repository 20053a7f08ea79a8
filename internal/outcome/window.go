package outcome

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

// Window is a time in which messages were sent to one destination of Redox, between two
// times in which none was. In it the messages that have no log id can be counted
// against the logs: if no other program sends there, and only then.
type Window struct {
	// DestinationID is the destination's in logs. Live and backfill share it.
	DestinationID string `json:"destination_id"`
	// Begun is the sequence of the first event that is counted in, and Sequence that of
	// the last.
	Begun    uint64 `json:"begun"`
	Sequence uint64 `json:"sequence"`
	// First and Last are when Redox's answers came, or did not.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Accepted messages, Unnamed ones of these whose log id is not known, and Held ones
	// whose outcome is not known.
	Accepted int `json:"accepted"`
	Unnamed  int `json:"unnamed,omitempty"`
	Held     int `json:"held,omitempty"`
	// Muddled is how many other messages may have made a log.
	Muddled int `json:"muddled,omitempty"`
	// Job is the last unnamed one, HeldJob the last held one.
	Job     *Ref `json:"job,omitempty"`
	HeldJob *Ref `json:"held_job,omitempty"`
	// Answered: Redox answered the held message with a 2xx, so that it is never sent
	// again.
	Answered bool `json:"answered,omitempty"`

	Counts []Count `json:"counts,omitempty"`
	State  State   `json:"state,omitempty"`

	Unknown versioned.Unknown `json:",embed"`

	// paused is until when it is not counted, after an error.
	paused time.Time
}

// State is what came of counting a window.
type State string

// The states. A window begins as Waiting.
const (
	Waiting State = ""
	// Bound: the only log is the only message's.
	Bound State = "bound"
	// Totals: there are as many logs as messages; nothing is said of a single one.
	Totals State = "totals"
	// Found and NotFound: so is the held message.
	Found    State = "found"
	NotFound State = "not_found"
	// Open: the numbers do not fit, or say nothing.
	Open State = "open"
)

// Count is what one search of a window found.
type Count struct {
	At        time.Time `json:"at"`
	Total     int       `json:"total"`
	Succeeded int       `json:"succeeded,omitempty"`
	Failed    int       `json:"failed,omitempty"`
	Filtered  int       `json:"filtered,omitempty"`
	Pending   int       `json:"pending,omitempty"`
	// Other are logs whose status is an unknown word.
	Other int `json:"other,omitempty"`
	// Only is the one log there is.
	Only *Seen `json:"only,omitempty"`
}

// mostWindow is the longest time that a window may cover to be counted.
const mostWindow = 24 * time.Hour

// record is where the bucket keeps the window.
func (w *Window) record() string {
	return fmt.Sprintf("%s%s.%d", windowPrefix, schemas.Token(w.DestinationID), w.Begun)
}

// Event is what the windows make of an event of the stream.
type Event struct {
	Sequence uint64
	Data     schemas.EventData
	At       time.Time
}

// kind says what a window counts an event as.
type kind int

const (
	countsNothing kind = iota
	countsAccepted
	countsHeld
	countsMuddled
)

// counts says what an event is to a window. A message that Redox refused may have a
// log all the same (Redox docs, "Logs": one for every attempted request).
func (e Event) counts() kind {
	r := e.Data.Reason
	switch {
	case e.Data.Status == schemas.StatusAccepted && e.Data.Receipt != nil:
		return countsAccepted
	case e.Data.Status == schemas.StatusUnknown && !e.Data.PossibleDuplicate && r != nil && slices.Contains(slices.Concat(lost, answered), lostBy(*r)):
		return countsHeld
	case e.Data.Status == schemas.StatusUnknown:
		return countsMuddled
	case (e.Data.Status == schemas.StatusRetrying || e.Data.Status == schemas.StatusFailed) && r != nil && mayHaveSent(*r):
		return countsMuddled
	}
	return countsNothing
}

// The reasons of an unknown outcome after which it is known when the message was sent:
// just before the event. Of the others, a worker's sudden end for instance, it is not.
var (
	// lost: no answer came, or one that says nothing, such as a 504.
	lost = []string{"redox_answer_timeout", "redox_connection_broken", "redox_stalled", "redox_status"}
	// answered: a 2xx came that could not be understood.
	answered = []string{"redox_answer_cut", "redox_answer_too_large", "redox_answer_unreadable", "redox_early_answer", "redox_refused"}
)

// lostBy is the code of an unknown outcome, without the number of a status.
func lostBy(r schemas.Reason) string {
	if r.Kind != "unknown_outcome" {
		return ""
	}
	if strings.HasPrefix(r.Code, "redox_status_") {
		return "redox_status"
	}
	return r.Code
}

// mayHaveSent reports whether a request for the job's message may have reached Redox.
func mayHaveSent(r schemas.Reason) bool {
	return r.Kind == "unknown_outcome" || r.Kind == "interrupted" || len(r.Code) > 6 && r.Code[:6] == "redox_"
}

// untimed reports whether the event tells of a message that may have been sent long before
// it: a worker ended while it sent, and the job waited until another took it.
func (e Event) untimed() bool {
	r := e.Data.Reason
	switch {
	case r == nil || e.counts() != countsMuddled:
		return false
	case r.Kind == "unknown_outcome":
		return !slices.Contains(slices.Concat(lost, answered), lostBy(*r))
	}
	return e.Data.Status == schemas.StatusUnknown
}

// muddle leaves the windows that began before an event without an answer: its message may
// have made a log in any of them. To do it twice changes nothing.
func muddle(waiting []*Window, e Event) (changed []*Window) {
	for _, w := range waiting {
		if w.Begun < e.Sequence {
			w.Muddled++
			w.Counts = nil
			changed = append(changed, w)
		}
	}
	return changed
}

// Fold counts an event in among the waiting windows of its destination, and gives those
// that changed: first the one that has it now, which is new where none reaches to it.
// An event that reaches into several leaves none of them to be counted, and one whose time
// says nothing of when its message was sent leaves none that began before it.
func Fold(waiting []*Window, destinationID string, e Event, t Times) (changed []*Window) {
	if e.untimed() {
		muddled := muddle(waiting, e)
		defer func() { changed = union(changed, muddled) }()
	}
	counts := e.counts()
	if counts == countsNothing {
		return nil
	}
	at := e.At
	if counts == countsAccepted {
		at = e.Data.Receipt.AcceptedAt
	}
	for _, w := range waiting {
		if e.Sequence <= w.Sequence {
			return nil // read a second time
		}
		if at.After(w.First.Add(-t.gap())) && at.Before(w.Last.Add(t.gap())) {
			changed = append(changed, w)
		}
	}
	for _, w := range changed {
		if len(changed) > 1 {
			w.Muddled++
		}
	}
	if len(changed) == 0 {
		changed = []*Window{{DestinationID: destinationID, Begun: e.Sequence, First: at, Last: at}}
	}
	changed[0].take(counts, e, at)
	return changed
}

// union gives the windows of both lists, each once.
func union(all, more []*Window) []*Window {
	for _, w := range more {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
}

func (w *Window) take(counts kind, e Event, at time.Time) {
	w.Sequence = e.Sequence
	if at.Before(w.First) {
		w.First = at
	}
	if at.After(w.Last) {
		w.Last = at
	}
	ref := refOf(e.Data, e.Sequence)
	switch counts {
	case countsAccepted:
		w.Accepted++
		if len(e.Data.Receipt.LogIDs) == 0 {
			w.Unnamed++
			w.Job = &ref
		}
	case countsHeld:
		w.Held++
		w.HeldJob, w.Answered = &ref, slices.Contains(answered, lostBy(*e.Data.Reason))
	default:
		w.Muddled++
	}
	w.Counts = nil // what was counted before says nothing any more
}

// wanted reports whether there is anything to find out by counting.
func (w *Window) wanted() bool { return w.Unnamed > 0 || w.Held > 0 }

// over reports whether no further message can belong to the window.
func (w *Window) over(t Times, now time.Time) bool { return now.After(w.Last.Add(t.gap())) }

// due is when the window is counted next.
func (w *Window) due(t Times) time.Time {
	n := len(w.Counts)
	if n == 0 {
		return w.Last.Add(max(t.After+t.Settle, t.gap()))
	}
	if n < w.needed() {
		return w.Counts[n-1].At.Add(t.Again)
	}
	// The numbers did not fit or not settle: look again, more and more seldom.
	since := w.Counts[n-1].At.Sub(w.Last)
	return w.Counts[n-1].At.Add(min(max(since/2, t.Again), t.LookLongest))
}

// needed is how many counts must agree.
func (w *Window) needed() int {
	if w.Held > 0 {
		return 3
	}
	return 2
}

// query finds the logs of the window. It names neither type nor model nor event, which
// a log may lack.
func (w *Window) query(source string, t Times) platform.Query {
	return platform.Query{
		SourceID: source, DestinationID: w.DestinationID,
		CreatedAfter: w.First.Add(-t.Before), CreatedBefore: w.Last.Add(t.After),
	}
}

// add keeps the last counts.
func (w *Window) add(c Count) {
	w.Counts = append(w.Counts, c)
	if len(w.Counts) > 3 {
		w.Counts = w.Counts[len(w.Counts)-3:]
	}
}

// Conclude says what the counts of a window show.
func (w *Window) Conclude(t Times, now time.Time) State {
	if w.Last.Sub(w.First) > mostWindow {
		return Open
	}
	late := now.Sub(w.Last) >= t.Unconfirmed
	last, agreed := w.agreed()
	switch {
	case !agreed && late:
		return Open
	case !agreed:
		return Waiting
	case w.Muddled > 0 || w.Held > 1:
		return Open
	case w.Held == 1:
		return w.held(last)
	case last.Total != w.Accepted && late:
		return Open
	case last.Total != w.Accepted:
		return Waiting
	case w.Accepted == 1 && w.Unnamed == 1 && last.Only != nil:
		return Bound
	case last.Pending == 0 && last.Other == 0:
		return Totals
	case late:
		return Open
	}
	return Waiting
}

// held decides over a window with one held message. A log that failed may be of a
// request that was refused and repeated, so that it says nothing.
func (w *Window) held(c Count) State {
	switch {
	case c.Failed > 0 || c.Other > 0:
		return Open
	case c.Total == w.Accepted+1:
		return Found
	case c.Total == w.Accepted:
		return NotFound
	}
	return Open
}

// agreed gives the last count if as many as needed say the same.
func (w *Window) agreed() (last Count, ok bool) {
	n := w.needed()
	if len(w.Counts) < n {
		return last, false
	}
	counts := w.Counts[len(w.Counts)-n:]
	last = counts[n-1]
	for _, c := range counts {
		same := c.Total == last.Total && (c.Only == nil) == (last.Only == nil) && (c.Only == nil || c.Only.ID == last.Only.ID)
		if !same {
			return last, false
		}
	}
	return last, true
}

// evidence is the window as events tell it.
func (w *Window) evidence(t Times) *schemas.Window {
	e := &schemas.Window{From: w.First.Add(-t.Before), Until: w.Last.Add(t.After), Jobs: w.Accepted}
	if n := len(w.Counts); n > 0 {
		e.Logs = w.Counts[n-1].Total
	}
	return e
}

// tally counts logs, each once.
type tally struct {
	source string
	query  platform.Query
	logs   map[string]platform.Log
	// most is how many logs are kept: more are far too many for the window's messages, and
	// none is read any more.
	most int
	// strange: a log is none of those that were asked for, so that the search means
	// something else than is believed here.
	strange bool
}

// tally counts the logs of a window.
func (w *Window) tally(source string, t Times) *tally {
	return &tally{source: source, query: w.query(source, t), logs: map[string]platform.Log{}, most: 2*(w.Accepted+w.Held+w.Muddled) + 1000}
}

func (c *tally) take(log platform.Log) bool {
	outside := log.CreatedAt.Before(c.query.CreatedAfter.Truncate(time.Millisecond)) || log.CreatedAt.After(c.query.CreatedBefore)
	other := log.DestinationID != "" && log.DestinationID != c.query.DestinationID || log.SourceID != "" && log.SourceID != c.source
	if outside || other {
		c.strange = true
		return false
	}
	c.logs[log.ID] = log
	return c.most == 0 || len(c.logs) < c.most
}

func (c *tally) count(now time.Time) Count {
	sum := Count{At: now, Total: len(c.logs)}
	for _, log := range c.logs {
		switch log.Status {
		case platform.Succeeded:
			sum.Succeeded++
		case platform.Failed:
			sum.Failed++
		case platform.Filtered:
			sum.Filtered++
		case platform.Pending:
			sum.Pending++
		default:
			sum.Other++
		}
		if len(c.logs) == 1 {
			sum.Only = &Seen{ID: log.ID, Status: log.Status, Attempts: log.Attempts, At: log.AttemptAt}
		}
	}
	return sum
}
