package platform

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// Shape is how answers are laid out.
type Shape struct {
	// Result puts what there is below payload.result, as the newer documents have it
	// for one log.
	Result bool
	// List names the array of a search: default "logs".
	List string
	// Cursor is where the next cursor stands: "payload" (default, payload.cursor),
	// "meta" (meta.page.nextCursor), "link" (meta.page.links.next), or "none".
	Cursor string
	// Gaps puts an empty page before each page, and Trailing a cursor on the last one.
	// Short pages have at most as many logs, whatever was asked for; 0 is no limit.
	Gaps, Trailing bool
	Short          int
	// Errors gives no log, and a list of errors beside the empty list of logs, in "payload"
	// or "meta".
	Errors string
}

// Order is that of a search's results.
type Order string

// The orders. The zero Order is OldestFirst.
const (
	OldestFirst Order = ""
	NewestFirst Order = "newest"
	Shuffled    Order = "shuffled"
)

// query is a search's body.
type query struct {
	CreatedAfter  string `json:"createdAfter"`
	CreatedBefore string `json:"createdBefore"`
	UpdatedAfter  string `json:"updatedAfter"`
	UpdatedBefore string `json:"updatedBefore"`
	SourceID      string `json:"sourceId"`
	DestinationID string `json:"destinationId"`
	DataModel     string `json:"dataModel"`
	EventType     string `json:"eventType"`
	Type          string `json:"type"`
	Status        string `json:"status"`
	DataMode      string `json:"dataMode"`
	ServiceRegion string `json:"serviceRegion"`
	FacilityCode  string `json:"facilityCode"`
}

func (a *API) search(environment string, params url.Values, body []byte) (int, []byte, string) {
	if !slices.ContainsFunc(a.cfg.Environments, func(e Environment) bool { return e.ID == environment }) {
		return refuse(http.StatusForbidden, "environment-of-others")
	}
	var q query
	if json.Unmarshal(body, &q, json.RejectUnknownMembers(true)) != nil {
		return refuse(http.StatusBadRequest, "search-body")
	}
	if a.cfg.Regions && q.ServiceRegion == "" {
		return refuse(http.StatusBadRequest, "service-region")
	}
	count, err := strconv.Atoi(cmp.Or(params.Get("_count"), strconv.Itoa(a.cfg.PageMost)))
	if err != nil || count < 1 || count > a.cfg.PageMost {
		return refuse(http.StatusBadRequest, "count")
	}
	times, ok := q.times()
	if !ok {
		return refuse(http.StatusBadRequest, "date-time")
	}
	if a.cfg.Shape.Short > 0 {
		count = min(count, a.cfg.Shape.Short)
	}
	cursor := params.Get("_cursor")
	from, ok := offset(cursor)
	if !ok {
		return refuse(http.StatusBadRequest, "cursor")
	}
	found := a.found(q, times)
	from = min(from, len(found))
	until := min(from+count, len(found))
	if a.cfg.Shape.Gaps && !strings.HasPrefix(cursor, gapPrefix) && from < len(found) {
		return http.StatusOK, encode(object{"meta": object{}, "payload": object{"logs": []any{}, "cursor": gapPrefix + cursorOf(from)}}), ""
	}
	return http.StatusOK, encode(a.page(found[from:until], from, until, len(found))), ""
}

// times are the bounds in the order of the body; a zero time is none.
func (q query) times() (bounds [4]time.Time, ok bool) {
	for i, text := range []string{q.CreatedAfter, q.CreatedBefore, q.UpdatedAfter, q.UpdatedBefore} {
		if text == "" {
			continue
		}
		at, err := time.Parse("2006-01-02T15:04:05.000Z", text)
		if err != nil {
			return bounds, false
		}
		bounds[i] = at
	}
	return bounds, true
}

func (a *API) found(q query, times [4]time.Time) (all []view) {
	for _, e := range a.logs {
		v, seen := a.view(e)
		if seen && q.covers(v) && within(v.created, times[0], times[1]) && within(v.updated, times[2], times[3]) {
			all = append(all, v)
		}
	}
	slices.SortStableFunc(all, func(x, y view) int {
		switch a.cfg.Order {
		case NewestFirst:
			return y.updated.Compare(x.updated)
		case Shuffled:
			return strings.Compare(x.LogID, y.LogID)
		}
		return x.updated.Compare(y.updated)
	})
	return all
}

func within(at, after, before time.Time) bool {
	return (after.IsZero() || !at.Before(after)) && (before.IsZero() || !at.After(before))
}

func (q query) covers(v view) bool {
	is := func(wanted, value string) bool { return wanted == "" || wanted == value }
	return cmp.Or(q.DataMode, Realtime) == v.script.Mode && is(q.Status, v.step.Status) && is(q.FacilityCode, v.Facility) &&
		is(q.SourceID, v.Source) && is(q.DestinationID, v.destination) && is(q.DataModel, v.Model) && is(q.EventType, v.EventType)
}

// view is a log as it can be seen now. Times are in whole milliseconds.
type view struct {
	*entry

	step             Step
	destination      string
	created, updated time.Time
}

func (a *API) view(e *entry) (v view, seen bool) {
	step, seen := e.script.at(a.cfg.Now().Sub(e.At))
	v = view{entry: e, step: step, destination: DestinationID(e.Destination), created: e.At.Truncate(time.Millisecond)}
	v.updated = e.At.Add(step.After).Truncate(time.Millisecond)
	if e.script.Unrouted {
		bare := *e
		bare.Source, bare.Model, bare.EventType = "", "", ""
		v.entry, v.destination = &bare, ""
	}
	return v, seen
}

func (v view) wire(note string) object {
	o := object{
		"id": v.LogID, "createdAt": stamp(v.created), "updatedAt": stamp(v.updated), "status": v.step.Status, "type": "send",
		"attempts": object{"total": v.step.Attempts, "latest": object{
			"id": uuid.NewSHA1(uuid.NameSpaceURL, []byte(v.LogID+strconv.Itoa(v.step.Attempts))).String(), "attemptAt": stamp(v.updated), "status": v.step.Status,
			"operations": []any{object{"type": "blobResolvers", "attemptStage": "request", "error": note}},
		}},
	}
	if v.destination != "" {
		o["dataModel"], o["eventType"] = v.Model, v.EventType
		o["source"], o["destination"] = object{"id": v.Source, "name": note}, object{"id": v.destination, "name": note}
	}
	return o
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// page lays the results out, with the next cursor if there is more.
func (a *API) page(views []view, from, until, total int) object {
	list := []any{}
	for _, v := range views {
		list = append(list, v.wire(a.cfg.Note))
	}
	meta, payload := object{"version": "1.0.0"}, object{cmp.Or(a.cfg.Shape.List, "logs"): list}
	if a.cfg.Shape.Result {
		payload = object{"result": payload}
	}
	if a.cfg.Shape.Errors != "" {
		payload[cmp.Or(a.cfg.Shape.List, "logs")] = []any{}
		map[string]object{"payload": payload, "meta": meta}[a.cfg.Shape.Errors]["errors"] = []any{object{"detail": a.cfg.Note}}
		return object{"meta": meta, "payload": payload}
	}
	if until < total || a.cfg.Shape.Trailing {
		if a.cfg.Repeat && until-from > 1 {
			until--
		}
		next := cursorOf(until)
		switch a.cfg.Shape.Cursor {
		case "meta":
			meta["page"] = object{"nextCursor": next}
		case "link":
			meta["page"] = object{"links": object{"next": "/platform/v1/environments/x/logs/search/metadata?_cursor=" + next}}
		case "none":
		default:
			payload["cursor"] = next
		}
	}
	return object{"meta": meta, "payload": payload}
}

// gapPrefix begins the cursors that empty pages have.
const gapPrefix = "gap."

func cursorOf(n int) string {
	return base64.RawURLEncoding.EncodeToString([]byte("from " + strconv.Itoa(n)))
}

func offset(cursor string) (int, bool) {
	if cursor = strings.TrimPrefix(cursor, gapPrefix); cursor == "" {
		return 0, true
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimPrefix(string(text), "from "))
	return n, err == nil && n >= 0
}
