package natsq

import (
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// fits says why a stream cannot do what delivery needs of it; nil where it can.
func (c *Conn) fits(name string, cfg jetstream.StreamConfig) error {
	var err error
	switch name {
	case c.stream(jobs):
		err = c.fitsJobs(cfg)
	case c.stream(dueJobs):
		err = fitsDue(cfg)
	case bucketStream(c.stream(ledger)), bucketStream(c.stream(control)):
		err = fitsBucket(cfg)
	}
	if err == nil && cfg.MaxConsumers <= 0 {
		err = errors.New("it must state a positive limit of consumers; without one the server takes 1,000 (nats-server 2.15)")
	}
	return err
}

// losesMessages reports whether the stream drops old messages to make room.
func losesMessages(cfg jetstream.StreamConfig) bool {
	return cfg.Discard == jetstream.DiscardOld && (cfg.MaxMsgs > 0 || cfg.MaxBytes > 0)
}

func (c *Conn) fitsJobs(cfg jetstream.StreamConfig) error {
	sourced := slices.ContainsFunc(cfg.Sources, func(s *jetstream.StreamSource) bool { return s.Name == c.stream(dueJobs) })
	switch {
	case oldLayout(cfg):
		return ErrOldLayout
	case cfg.Retention != jetstream.WorkQueuePolicy:
		return errors.New("it must be a work queue")
	case cfg.AllowRollup, cfg.AllowMsgTTL, cfg.AllowMsgCounter, cfg.AllowAtomicPublish, cfg.AllowBatchPublish:
		return errors.New("it must take plain messages only: with rollups, TTLs, counters or batches a publisher can remove the jobs of others")
	case !sourced:
		return errors.New("it must take due jobs from the stream " + c.stream(dueJobs))
	case cfg.MaxAge > 0, cfg.MaxMsgsPerSubject > 0 && !cfg.DiscardNewPerSubject, losesMessages(cfg):
		return errors.New("it has a limit that removes jobs (max_age, max_msgs_per_subject, or a limit with discard old)")
	}
	return nil
}

func fitsDue(cfg jetstream.StreamConfig) error {
	switch {
	case cfg.Retention != jetstream.WorkQueuePolicy || !cfg.AllowMsgSchedules:
		return errors.New("it must be a work queue that allows message schedules")
	case cfg.MaxAge > 0, cfg.MaxMsgsPerSubject > 0, cfg.MaxMsgs > 0, cfg.MaxBytes > 0:
		return errors.New("it has a limit that removes jobs (max_age, max_msgs, max_bytes or max_msgs_per_subject)")
	}
	return nil
}

func fitsBucket(cfg jetstream.StreamConfig) error {
	switch {
	case cfg.MaxMsgsPerSubject < 1:
		return errors.New("it must limit the values that it keeps per key (max_msgs_per_subject)")
	case losesMessages(cfg):
		return errors.New("it has a limit that removes records (discard old)")
	}
	return nil
}
