package intake

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Jobs tells what is known of jobs.
type Jobs interface {
	// Status is what is known of a job, to be encoded as JSON: nothing of its content.
	Status(ctx context.Context, job schemas.JobKey) (status any, found bool, err error)
	// Destinations are those that know a job of that id.
	Destinations(ctx context.Context, id string) ([]string, error)
}

// Viewer shows a caller its jobs.
type Viewer struct {
	jobs   Jobs
	ledger Ledger
	// turns bounds the looks that are under way.
	turns chan struct{}
}

// looksAtOnce bounds what questions cost the queue: each may read the headers of many
// events.
const looksAtOnce = 8

// NewViewer makes a Viewer.
func NewViewer(jobs Jobs, ledger Ledger) Viewer {
	return Viewer{jobs, ledger, make(chan struct{}, looksAtOnce)}
}

// fewDestinations is how many destinations of a caller are asked one by one.
const fewDestinations = 8

func unknownJob() *Refusal {
	return &Refusal{Kind: Unknown, Code: "job_unknown", Detail: "this caller has no such job"}
}

// Status tells of a job of the caller's. Without a destination it is looked for at all of
// the caller's own. What the caller may not see is unknown to it.
func (v Viewer) Status(ctx context.Context, grant Grant, job schemas.JobKey) (any, error) {
	if !schemas.ValidJobID(job.ID) || job.Destination != "" && !grant.Reaches(job.Destination) {
		return nil, unknownJob()
	}
	select {
	case v.turns <- struct{}{}:
		defer func() { <-v.turns }()
	case <-ctx.Done():
		return nil, statusAway(ctx.Err())
	}
	places, err := v.places(ctx, grant, job)
	if err != nil {
		return nil, statusAway(err)
	}
	var known []any
	for _, destination := range places {
		status, found, err := v.jobs.Status(ctx, schemas.JobKey{Destination: destination, ID: job.ID})
		if err != nil {
			return nil, statusAway(err)
		}
		if found {
			known = append(known, status)
		}
	}
	switch len(known) {
	case 0:
		return nil, unknownJob()
	case 1:
		return known[0], nil
	}
	return nil, &Refusal{Kind: Invalid, Code: "destination_missing", Detail: "several destinations know a job of this id: name one with ?destination="}
}

func (v Viewer) places(ctx context.Context, grant Grant, job schemas.JobKey) ([]string, error) {
	if job.Destination != "" {
		return []string{job.Destination}, nil
	}
	if !grant.Everywhere() && len(grant.Destinations) <= fewDestinations {
		return grant.Destinations, nil
	}
	all, err := v.jobs.Destinations(ctx, job.ID)
	return slices.DeleteFunc(all, func(d string) bool { return !grant.Reaches(d) }), err
}

func statusAway(err error) error {
	return unavailable("status_unavailable", "what is known of the job could not be read; ask again", err)
}

// Await waits until a job goes no further by itself, or ctx ends.
func (v Viewer) Await(ctx context.Context, job schemas.JobKey) {
	for pause := lookAgain; ; pause = min(2*pause, lookSeldom) {
		known, found, err := v.ledger.Find(ctx, job)
		if err == nil && found && known.Final {
			return
		}
		if errors.Is(err, context.Canceled) || !sleep(ctx, pause) {
			return
		}
	}
}

// MostWait bounds how long a caller may wait for the end of its job.
const MostWait = time.Minute
