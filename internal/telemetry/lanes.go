package telemetry

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartpost/chartpost/schemas"
)

// Other is the destination label of all destinations beyond the limit.
const Other = "other"

// Statuses that no event has: a copy that goes back to its lane, and one of a
// job whose end was decided before.
const (
	returned = "returned"
	repeated = "repeated"
)

// statuses are the values of the label status, in the order of a lane's counts.
var statuses = [...]string{
	string(schemas.StatusAccepted), string(schemas.StatusRetrying), string(schemas.StatusFailed), string(schemas.StatusUnknown),
	string(schemas.StatusCancelled), string(schemas.StatusDuplicate), returned, repeated,
}

// lanes counts outcomes by lane. Its labels are bounded: the first destinations
// that come have names of their own, and keep them; the rest is one.
type lanes struct {
	most  int
	mu    sync.RWMutex
	names map[string]bool
	all   map[schemas.Lane]*lane
}

// lane is the counts of one lane, or of all others of its class.
type lane struct {
	class, destination string
	counts             [len(statuses)]atomic.Uint64
	// sent is how long messages of it took: their number, and the sum in ns.
	messages, waited atomic.Uint64
}

func newLanes(most int) *lanes {
	return &lanes{most: most, names: map[string]bool{}, all: map[schemas.Lane]*lane{}}
}

// labeled is the lane under which another is told of.
func (l *lanes) labeled(name schemas.Lane) schemas.Lane {
	l.mu.RLock()
	known := l.names[name.Destination]
	l.mu.RUnlock()
	if !known && !l.admit(name.Destination) {
		return schemas.Lane{Class: name.Class, Destination: Other}
	}
	// Without the part that tells misaddressed lanes apart, which may be anything.
	return schemas.Lane{Class: name.Class, Destination: name.Destination}
}

func (l *lanes) admit(destination string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.names[destination] && len(l.names) >= l.most {
		return false
	}
	l.names[destination] = true
	return true
}

// get gives a lane's counts; it allocates nothing for one that is known.
func (l *lanes) get(name schemas.Lane) *lane {
	name = l.labeled(name)
	l.mu.RLock()
	one := l.all[name]
	l.mu.RUnlock()
	if one != nil {
		return one
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if one = l.all[name]; one == nil {
		one = &lane{class: string(name.Class), destination: name.Destination}
		l.all[name] = one
	}
	return one
}

// count notes a status.
func (one *lane) count(status string) {
	for i, s := range statuses {
		if s == status {
			one.counts[i].Add(1)
		}
	}
}

var (
	outcomesDesc = prometheus.NewDesc("chartpost_job_outcomes_total",
		"Copies of jobs this worker has come to an end with: as events say it, returned to their lane, or repeated because the end was decided before.",
		[]string{"class", "destination", "status"}, nil)
	messagesDesc = prometheus.NewDesc("chartpost_message_duration_seconds",
		"How long the sending of messages took, repeats and the wait for the request budget included.", []string{"class", "destination"}, nil)
)

// Describe implements prometheus.Collector.
func (l *lanes) Describe(descs chan<- *prometheus.Desc) {
	descs <- outcomesDesc
	descs <- messagesDesc
}

// Collect implements prometheus.Collector.
func (l *lanes) Collect(metrics chan<- prometheus.Metric) {
	l.mu.RLock()
	all := make([]*lane, 0, len(l.all))
	for _, one := range l.all {
		all = append(all, one)
	}
	l.mu.RUnlock()
	for _, one := range all {
		for i, status := range statuses {
			metrics <- prometheus.MustNewConstMetric(outcomesDesc, prometheus.CounterValue, float64(one.counts[i].Load()), one.class, one.destination, status)
		}
		metrics <- prometheus.MustNewConstSummary(messagesDesc, one.messages.Load(), float64(one.waited.Load())/1e9, nil, one.class, one.destination)
	}
}
