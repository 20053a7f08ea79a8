package events

import (
	"errors"
	"slices"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// selector selects events by what their subjects say, which is the server's work.
type selector struct {
	Class       string   `default:"" enum:",live,backfill" placeholder:"CLASS" help:"Only events of this class: live or backfill." group:"Events" percall:""`
	Destination string   `placeholder:"NAME" help:"Only events of this slug or id." group:"Events" percall:""`
	Status      []string `enum:"uploaded,accepted,retrying,failed,unknown,duplicate,cancelled,delivered,filtered,undelivered,stalled,unconfirmed" placeholder:"STATUS" help:"Only events of these statuses, separated by commas: uploaded, accepted, retrying, failed, unknown, duplicate or cancelled; and, where outcomes are followed, delivered, filtered, undelivered, stalled or unconfirmed." group:"Events" percall:""`
	Final       bool     `help:"Only events after which nothing more happens by itself." group:"Events" percall:""`
}

func (f *selector) check() error {
	var faults []error
	if f.Destination != "" && !schemas.ValidAddress(f.Destination) {
		faults = append(faults, errors.New("--destination: must be a slug or id as jobs have it: 1 to 128 of letters, digits and . _ ~ -"))
	}
	if f.Final && len(f.Status) > 0 {
		faults = append(faults, errors.New("--final: is a list of statuses by itself; leave --status out"))
	}
	return errors.Join(faults...)
}

// filter selects events.
type filter struct {
	selector `embed:""`

	Job         string            `placeholder:"ID" help:"Only events of this job." group:"Events" percall:""`
	Correlation map[string]string `mapsep:"," placeholder:"KEY=VALUE" help:"Only events of jobs with this correlation; several must all be there." group:"Events" percall:""`
}

func (f *filter) check() error {
	err := f.selector.check()
	if f.Job != "" && !schemas.ValidJobID(f.Job) {
		err = errors.Join(errors.New("--job: must be the id of a job: 1 to 128 of letters, digits, _ and -"), err)
	}
	return err
}

func (f *selector) selection() natsq.EventSelection {
	s := natsq.EventSelection{Class: schemas.Class(f.Class), Destination: f.Destination}
	for _, status := range eventStatuses {
		if f.Final && status.Final() || slices.Contains(f.Status, string(status)) {
			s.Statuses = append(s.Statuses, status)
		}
	}
	return s
}

var eventStatuses = []schemas.Status{
	schemas.StatusUploaded, schemas.StatusAccepted, schemas.StatusRetrying, schemas.StatusFailed, schemas.StatusUnknown,
	schemas.StatusDuplicate, schemas.StatusCancelled,
	schemas.StatusDelivered, schemas.StatusFiltered, schemas.StatusUndelivered, schemas.StatusStalled, schemas.StatusUnconfirmed,
}

// filters reports whether anything is selected at all.
func (f *filter) filters() bool {
	return f.Class != "" || f.Destination != "" || len(f.Status) > 0 || f.Final || f.Job != "" || len(f.Correlation) > 0
}

// wants is the rest, which only the event itself can tell.
func (f *filter) wants(d schemas.EventData) bool {
	for key, value := range f.Correlation {
		if have, ok := d.Correlation[key]; !ok || have != value {
			return false
		}
	}
	return f.Job == "" || f.Job == d.JobID
}
