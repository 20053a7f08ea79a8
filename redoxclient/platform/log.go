package platform

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Status is what a log says of its message.
type Status string

// The statuses that Redox documents, and Unknown for any other word.
const (
	// Succeeded: the destination's system took it; not that it is in the chart.
	Succeeded Status = "succeeded"
	// Failed: it was not completed, and Redox does not retry it by itself.
	Failed Status = "failed"
	// Filtered: it was stopped on purpose.
	Filtered Status = "filtered"
	// Pending: it is being processed, or queued.
	Pending Status = "pending"
	Unknown Status = "unknown"
)

// Mode is which traffic a search sees. A search without one sees Realtime alone.
type Mode string

// The data modes that Redox documents.
const (
	Realtime Mode = "realtime"
	Backfill Mode = "backfill"
)

// Modes are both.
func Modes() []Mode { return []Mode{Realtime, Backfill} }

// Log is one log, without names: an answer's texts are not kept.
type Log struct {
	ID     string
	Status Status
	// Word is the status as it stands there, "other" where it is no single word.
	Word string
	// Attempts is how many there were, 0 where that is not told.
	Attempts int
	// AttemptID and AttemptAt are those of the latest.
	AttemptID string
	AttemptAt time.Time

	CreatedAt, UpdatedAt time.Time
	// SourceID and DestinationID are empty where processing failed early.
	SourceID, DestinationID string
	// Mode is that of the request which found it.
	Mode Mode
}

// Log reads the log of an id: of realtime traffic, and on a 404 of a backfill's.
func (c *Client) Log(ctx context.Context, id string) (Log, error) {
	err := errors.Join(needs(OpLog, "the organization", c.cfg.Organization, wholeNumber), needs(OpLog, "the log's id", id, pathID))
	for _, mode := range Modes() {
		if err != nil {
			break
		}
		var log Log
		log, err = c.log(ctx, id, mode)
		failed, ok := errors.AsType[*Error](err)
		if !ok || failed.Kind != NotFound || mode == Backfill {
			return log, err
		}
		err = nil
	}
	return Log{}, err
}

func (c *Client) log(ctx context.Context, id string, mode Mode) (Log, error) {
	k := call{op: OpLog, method: http.MethodGet, path: []string{"v1", "organizations", c.cfg.Organization, "logs", id}}
	if mode == Backfill {
		k.query = url.Values{"dataMode": {string(mode)}}
	}
	e, err := c.do(ctx, k)
	if err != nil {
		return Log{}, err
	}
	payload := object(e.Payload)
	raw := e.Payload
	if inner := object(payload["result"]); inner != nil {
		raw = payload["result"]
	}
	log, ok := logOf(raw, mode)
	if log.ID == "" {
		log.ID = id // the newer sample shows none
	}
	if !ok || log.ID != id {
		return Log{}, &Error{Op: OpLog, Kind: Unreadable, Code: CodeNoLog, Status: http.StatusOK}
	}
	return log, nil
}

// logOf reads a log of either shape. ok is false where it says no status at all.
func logOf(raw jsontext.Value, mode Mode) (Log, bool) {
	m := object(raw)
	attempts := object(m["attempts"])
	latest := object(attempts["latest"])
	log := Log{
		ID: idOf(text(m["id"])), Mode: mode,
		AttemptID: idOf(text(latest["id"])), AttemptAt: timeOf(latest["attemptAt"]),
		CreatedAt: timeOf(m["createdAt"]), UpdatedAt: timeOf(m["updatedAt"]),
		SourceID: idOf(text(object(m["source"])["id"])), DestinationID: idOf(text(object(m["destination"])["id"])),
	}
	if n, err := strconv.Atoi(text(attempts["total"])); err == nil && n >= 0 {
		log.Attempts = n
	}
	words := []string{text(latest["status"]), text(m["status"])}
	log.Status, log.Word = statusOf(words)
	return log, words[0] != "" || words[1] != ""
}

// statusOf reads the status of the latest attempt and that of the log itself. Where
// both are there and differ, it is not known which of them is right.
func statusOf(words []string) (Status, string) {
	var all []string
	for _, word := range words {
		if word = wordOf(word); word != "" && (len(all) == 0 || all[0] != word) {
			all = append(all, word)
		}
	}
	word := strings.Join(all, "/")
	if status := Status(word); slices.Contains([]Status{Succeeded, Failed, Filtered, Pending}, status) {
		return status, word
	}
	return Unknown, word
}

// wordOf lets one word through, in lower case: an answer's text is not to be shown.
func wordOf(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ToLower(s)
	if len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_-") != "" {
		return "other"
	}
	return s
}

func idOf(s string) string {
	if len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:-", r))
	}) {
		return ""
	}
	return s
}

func timeOf(raw jsontext.Value) time.Time {
	at, err := time.Parse(time.RFC3339, text(raw))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
