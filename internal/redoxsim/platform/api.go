package platform

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Environment is one of the organization's.
type Environment struct {
	ID, Name string
	// Flag is Production, Staging or Development.
	Flag string
}

// Config says what the API serves.
type Config struct {
	// Organization is the id in paths of single logs; default 1.
	Organization int
	// Environments default to one of each flag.
	Environments []Environment
	// Regions: a search must name its serviceRegion.
	Regions bool
	Shape   Shape
	Order   Order
	// Repeat gives the last log of a page again as the first of the next.
	Repeat bool
	// Note stands in answers wherever Redox may write a name or a text; a client is to
	// pass none of them on.
	Note string
	// PageMost is the largest _count; default 50.
	PageMost int
	Now      func() time.Time
}

// API is the simulated Platform API. It is safe for concurrent use.
type API struct {
	cfg Config

	mu      sync.Mutex
	logs    []*entry
	byID    map[string]*entry
	scripts map[string]Script
}

// Message is one that came, or that somebody else sent.
type Message struct {
	// LogID is the log's id; empty makes one.
	LogID, Source string
	// Destination is the slug or id by which the message came.
	Destination      string
	Model, EventType string
	Facility         string
	// Foreign: it was not sent by the program under test.
	Foreign bool
	At      time.Time
}

type entry struct {
	Message
	script Script
}

// New makes an API without logs.
func New(cfg Config) *API {
	cfg.Organization = cmp.Or(cfg.Organization, 1)
	cfg.PageMost = cmp.Or(cfg.PageMost, 50)
	cfg.Note = cmp.Or(cfg.Note, "a name")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Environments) == 0 {
		for _, flag := range []string{"Production", "Staging", "Development"} {
			cfg.Environments = append(cfg.Environments, Environment{ID: stableID("environment " + flag), Name: flag, Flag: flag})
		}
	}
	return &API{cfg: cfg, byID: map[string]*entry{}, scripts: map[string]Script{}}
}

// Script says what becomes of the messages for a destination that come from now on.
func (a *API) Script(destination string, s Script) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scripts[destination] = s
}

// Arrived makes the log of a message, by its destination's script.
func (a *API) Arrived(m Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.LogID == "" {
		m.LogID = uuid.NewString()
	}
	if m.At.IsZero() {
		m.At = a.cfg.Now()
	}
	script := a.scripts[m.Destination].complete()
	if script.Missing || a.byID[m.LogID] != nil {
		return
	}
	e := &entry{m, script}
	a.logs, a.byID[m.LogID] = append(a.logs, e), e
}

// DestinationID is the id in logs of a destination, whose slug or id it is given. A
// slug's is derived from it.
func DestinationID(slug string) string {
	if uuid.Validate(slug) == nil {
		return slug
	}
	return stableID("destination " + slug)
}

func stableID(name string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String() }

// Truth is a log as it stands, whether or not it can be seen.
type Truth struct {
	Message

	Status   string
	Attempts int
}

// Truths are all logs in the order in which their messages came.
func (a *API) Truths() []Truth {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Truth, len(a.logs))
	for i, e := range a.logs {
		script := e.script
		script.Visible = 0
		step, _ := script.at(a.cfg.Now().Sub(e.At))
		all[i] = Truth{e.Message, step.Status, step.Attempts}
	}
	return all
}

// EnvironmentID is that of the first environment with a flag; empty without one.
func (a *API) EnvironmentID(flag string) string {
	at := slices.IndexFunc(a.cfg.Environments, func(e Environment) bool { return e.Flag == flag })
	if at < 0 {
		return ""
	}
	return a.cfg.Environments[at].ID
}
