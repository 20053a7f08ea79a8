package faultlab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
)

// Spending is an attempt that ended because of a fault that was not its job's,
// by the log of the worker that had it.
type Spending struct {
	Job, Code string
	Attempt   int
	// Probe: the job had been taken to find out whether others may follow.
	Probe bool
}

// spendings reads a worker's log.
func spendings(log []byte) ([]Spending, error) {
	var all []Spending
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Msg, Job, Outcome, Kind, Code, Scope string
			Attempt                              int
			Probe                                bool
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "not accepted" {
			continue
		}
		if line.Outcome == "waiting" && line.Kind == "retryable" && line.Scope != "job" {
			all = append(all, Spending{Job: line.Job, Code: line.Code, Attempt: line.Attempt, Probe: line.Probe})
		}
	}
	return all, lines.Err()
}

// firstSpendings counts, by lane, the jobs that lost their first attempt so and
// were no probes.
func (b *Books) firstSpendings() map[string]int {
	lanes, spent := map[string]string{}, map[string]int{}
	for _, j := range b.Jobs {
		lanes[j.ID] = j.Class + "/" + j.Destination
	}
	for _, s := range b.Spendings {
		if s.Attempt == 1 && !s.Probe {
			spent[lanes[s.Job]]++
		}
	}
	return spent
}

// bySpender sums up who spent attempts.
func (b *Books) bySpender() string {
	probes, others := 0, count{}
	for _, s := range b.Spendings {
		if s.Probe {
			probes++
		} else {
			others[s.Code]++
		}
	}
	return fmt.Sprintf("probes %d, others: %s", probes, others)
}
