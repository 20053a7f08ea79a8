package natsq

import (
	"encoding/json"
	"time"
)

// offer is what the worker with the tenure tells the fleet, by a plain message: which
// lanes can be asked. One that is lost is followed by the next.
type offer struct {
	From string `json:"from"`
	// Ask are the lanes with a consumer, and Probe those that somebody is to probe;
	// each "<class>.<destination token>" with how many jobs it holds.
	Ask   map[string]uint64 `json:"ask"`
	Probe map[string]uint64 `json:"probe,omitempty"`
	// First are those of Ask that come before the others.
	First []string `json:"first,omitempty"`
	// Scarce: more lanes hold jobs than can have a consumer.
	Scarce bool `json:"scarce,omitempty"`
	// Waiting is how many lanes hold jobs that no worker can take, and Unserved why, of
	// the first of them.
	Waiting  int               `json:"waiting,omitempty"`
	Unserved map[string]string `json:"unserved,omitempty"`
	// Unservable counts the jobs on subjects that no consumer can have.
	Unservable uint64 `json:"unservable,omitempty"`
}

// mostUnservedTold bounds the lanes of which it is told why they wait.
const mostUnservedTold = 100

// offerSubject is where workers tell each other; no other role may.
func (c *Conn) offerSubject() string { return c.prefix + ".lanes" }

func (c *Conn) tellOffer(o offer) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return c.nc.Publish(c.offerSubject(), data)
}

// tell sends the fleet the lanes that can be asked, and keeps them for this worker.
func (c *coordinator) tell(scarce bool) {
	o := offer{From: c.in.inbox, Scarce: scarce, Ask: map[string]uint64{}, Unserved: map[string]string{}, Unservable: c.unservable}
	ask, probe, first := c.roster.offers()
	for lane, jobs := range ask {
		o.Ask[lane.Tail()] = jobs
	}
	for _, lane := range first {
		o.First = append(o.First, lane.Tail())
	}
	if len(probe) > 0 {
		o.Probe = make(map[string]uint64, len(probe))
		for lane, jobs := range probe {
			o.Probe[lane.Tail()] = jobs
		}
	}
	unserved := c.roster.unserved()
	for lane, reason := range unserved {
		if len(o.Unserved) == mostUnservedTold {
			break
		}
		o.Unserved[lane.Tail()] = reason
	}
	o.Waiting = len(unserved)
	c.told = o
	c.in.board.take(o, time.Now())
	if err := c.in.conn.tellOffer(o); err != nil {
		c.in.conn.log.Debug("the lanes could not be told to the other workers; they are told again", "error", reasonOf(err))
	}
}
