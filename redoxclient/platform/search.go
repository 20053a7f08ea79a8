package platform

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// PageSize is the largest page of a search (Redox docs, "Search metadata").
const PageSize = 50

// mostPages bounds a search whose cursors never end.
const mostPages = 20_000

// mostEmpty is how many empty pages may follow each other: a search that passes over what
// does not fit may give some, and a cursor with each.
const mostEmpty = 20

// Query is a search of the logs' metadata. Zero fields do not narrow it. Times are
// inclusive and count in milliseconds.
type Query struct {
	CreatedAfter, CreatedBefore time.Time
	UpdatedAfter, UpdatedBefore time.Time
	SourceID, DestinationID     string
	Status                      Status
	// Mode is always named: a search that leaves it out sees Realtime alone.
	Mode Mode
}

// body is the query as Redox has it. No field of it is known to be required but
// serviceRegion where an environment has several.
func (q Query) body(region string) map[string]string {
	all := map[string]string{"dataMode": string(Realtime)}
	set := func(name, value string) {
		if value != "" {
			all[name] = value
		}
	}
	set("createdAfter", stamp(q.CreatedAfter))
	set("createdBefore", stamp(q.CreatedBefore))
	set("updatedAfter", stamp(q.UpdatedAfter))
	set("updatedBefore", stamp(q.UpdatedBefore))
	set("sourceId", q.SourceID)
	set("destinationId", q.DestinationID)
	set("status", string(q.Status))
	set("dataMode", string(q.Mode))
	set("serviceRegion", region)
	return all
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z")
}

// Search calls each for every log that a query finds, page by page, to the end or
// until each returns false. A log may come twice, and in any order. nil means that
// the search came to its end.
func (c *Client) Search(ctx context.Context, q Query, each func(Log) (more bool)) error {
	cursor, empty := "", 0
	for range mostPages {
		page, err := c.page(ctx, q, cursor, PageSize)
		if err != nil {
			return err
		}
		if empty++; len(page.logs) > 0 {
			empty = 0
		}
		for _, log := range page.logs {
			if !each(log) {
				return nil
			}
		}
		switch {
		case len(page.logs) == 0 && (page.cursor == "" || page.cursor == cursor):
			return nil
		case empty > mostEmpty:
			return unreadable(CodeEmptyPages)
		case page.cursor == "":
			return c.ended(ctx, q, cursor, len(page.logs))
		case page.cursor == cursor:
			return unreadable(CodeCursorRepeat)
		}
		c.learned.Store(true)
		cursor = page.cursor
	}
	return unreadable(CodeCursorRepeat)
}

// ended judges a page without a cursor. It is the end only if this client can tell where
// cursors stand: it asks for less than there is, and must be given one. A page that is not
// full may be one too, since Redox states no least size of pages; of one log there is no less.
func (c *Client) ended(ctx context.Context, q Query, cursor string, logs int) error {
	if logs < 2 || c.learned.Load() {
		return nil
	}
	page, err := c.page(ctx, q, cursor, 1)
	switch {
	case err != nil:
		return err
	case page.cursor == "":
		return unreadable(CodeNoCursor)
	}
	c.learned.Store(true)
	return nil
}

func unreadable(code string) *Error {
	return &Error{Op: OpSearch, Kind: Unreadable, Code: code, Status: http.StatusOK}
}

type page struct {
	logs   []Log
	cursor string
}

func (c *Client) page(ctx context.Context, q Query, cursor string, count int) (page, error) {
	if err := needs(OpSearch, "the environment's id", c.cfg.EnvironmentID, pathID); err != nil {
		return page{}, err
	}
	query := url.Values{"_count": {strconv.Itoa(count)}}
	if cursor != "" {
		query.Set("_cursor", cursor)
	}
	e, err := c.do(ctx, call{
		op: OpSearch, method: http.MethodPost, query: query, body: q.body(c.cfg.Region),
		path: []string{"v1", "environments", c.cfg.EnvironmentID, "logs", "search", "metadata"},
	})
	if err != nil {
		return page{}, err
	}
	if e.failed() {
		return page{}, unreadable(CodeErrors)
	}
	list, ok := e.list()
	if !ok {
		return page{}, unreadable(CodeNoList)
	}
	p := page{cursor: e.cursor()}
	if p.logs, ok = logsOf(list, q.Mode); !ok {
		return page{}, unreadable(CodeNoLog)
	}
	return p, nil
}

// logsOf reads every element, or none: one that is left out would not be counted.
func logsOf(list []jsontext.Value, mode Mode) ([]Log, bool) {
	if mode == "" {
		mode = Realtime
	}
	logs := make([]Log, 0, len(list))
	for _, raw := range list {
		log, ok := logOf(raw, mode)
		if !ok || log.ID == "" {
			return nil, false
		}
		logs = append(logs, log)
	}
	return logs, true
}

// Environment is one that the user belongs to.
type Environment struct {
	ID string
	// Flag is Production, Staging or Development.
	Flag string
}

// Environments lists those of the organization that the user belongs to.
func (c *Client) Environments(ctx context.Context) ([]Environment, error) {
	if err := needs(OpEnvironments, "the organization", c.cfg.Organization, wholeNumber); err != nil {
		return nil, err
	}
	e, err := c.do(ctx, call{op: OpEnvironments, method: http.MethodGet, path: []string{"v1", "organizations", c.cfg.Organization, "environments"}})
	if err != nil {
		return nil, err
	}
	list, ok := e.list()
	if !ok {
		return nil, &Error{Op: OpEnvironments, Kind: Unreadable, Code: CodeNoList, Status: http.StatusOK}
	}
	var all []Environment
	for _, raw := range list {
		m := object(raw)
		if id := idOf(text(m["id"])); id != "" {
			all = append(all, Environment{ID: id, Flag: wordShown(text(m["environmentFlag"]))})
		}
	}
	return all, nil
}

// wordShown lets a word of letters through: it is shown to people.
func wordShown(s string) string {
	if wordOf(s) == "other" {
		return "other"
	}
	return s
}
