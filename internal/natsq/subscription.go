package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
)

// Subscription is a durable pull consumer of the events, which an operator made for a
// watcher: the watcher may pull from it and acknowledge, and make no consumer itself.
// NATS: a consumer of one's own making can deliver to any subject with the server's
// rights, so also to those that hand out jobs.
type Subscription struct {
	Name string
	// Filters are the subjects of the events that it gives.
	Filters []string
	Created time.Time
	// Pending are the events that it has not given yet, and Unacknowledged those that
	// it gave and that nobody has acknowledged.
	Pending        uint64
	Unacknowledged int
	// LastActive is when it last gave an event or got an acknowledgement; zero is
	// never. A server that starts again forgets it.
	LastActive time.Time
}

const (
	// subscriptionWait is how long a watcher may take for an event before it is given
	// again (AckWait).
	subscriptionWait = time.Minute
	// subscriptionInHand is how many events may be unacknowledged at once
	// (MaxAckPending).
	subscriptionInHand = 1000
)

// mostSubscriptionName is the longest name of a subscription.
const mostSubscriptionName = 48

// ValidSubscription reports whether a name is one of 1 to 48 letters, digits, _ and -:
// it is a token of subjects.
func ValidSubscription(name string) bool {
	return name != "" && len(name) <= mostSubscriptionName && strings.Trim(name, subscriptionLetters) == ""
}

const subscriptionLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

var (
	// ErrNoSubscription is that of a name under which there is none.
	ErrNoSubscription = errors.New("there is no such subscription")
	// ErrOtherSubscription refuses to change what a subscription gives: its watcher
	// would miss events or get others than it was made for.
	ErrOtherSubscription = errors.New("the subscription exists and selects other events")

	errSubscriptionName = fmt.Errorf("a subscription's name must have 1 to %d letters, digits, _ and -", mostSubscriptionName)
)

// Beginning says with which event a subscription begins: with the next one that is
// published, where New is set; else with the first stored at Since or later, by the
// server's clock; the zero value with the first that is kept.
type Beginning struct {
	New   bool
	Since time.Time
}

// Subscribe makes a subscription. It stays until Unsubscribe, however long nobody
// reads. One that selects the same events is left as it is, and made is false.
func (c *Conn) Subscribe(ctx context.Context, name string, of EventSelection, at Beginning) (made bool, err error) {
	if !ValidSubscription(name) {
		return false, errSubscriptionName
	}
	config := jetstream.ConsumerConfig{
		Durable: name, Description: subscriptionMark, FilterSubjects: of.subjects(c.prefix),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: subscriptionWait, MaxAckPending: subscriptionInHand, MaxDeliver: -1,
	}
	switch {
	case at.New:
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	case !at.Since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &at.Since
	}
	final := func(err error) bool {
		return errors.Is(err, ErrOtherSubscription) || errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err)
	}
	err = retry.Do(ctx, final, func(ctx context.Context) error {
		found, err := c.js.Consumer(ctx, c.stream(events), name)
		if err == nil { // made before, or by an earlier try whose answer was lost
			return sameSubscription(found.CachedInfo(), config.FilterSubjects)
		}
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		made = true
		_, err = c.js.CreateConsumer(ctx, c.stream(events), config)
		return err
	})
	return made && err == nil, err
}

// subscriptionMark is the description of the consumers that are subscriptions.
const subscriptionMark = "Chartpost subscription"

func sameSubscription(info *jetstream.ConsumerInfo, filters []string) error {
	if info.Config.Description != subscriptionMark || !slices.Equal(slices.Sorted(slices.Values(filtersOf(info))), slices.Sorted(slices.Values(filters))) {
		return ErrOtherSubscription
	}
	return nil
}

// filtersOf gives a consumer's filters: the server keeps a single one elsewhere.
func filtersOf(info *jetstream.ConsumerInfo) []string {
	if info.Config.FilterSubject != "" {
		return []string{info.Config.FilterSubject}
	}
	return info.Config.FilterSubjects
}

// Subscriptions lists the durable consumers of the events by name, also those that an
// administrator made without Chartpost.
func (c *Conn) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var all []Subscription
	final := func(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err) }
	err := retry.Do(ctx, final, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, c.stream(events))
		if err != nil {
			return err
		}
		all = nil
		lister := stream.ListConsumers(ctx)
		for info := range lister.Info() {
			if info.Config.Durable != "" {
				all = append(all, subscriptionOf(info))
			}
		}
		return lister.Err()
	})
	slices.SortFunc(all, func(a, b Subscription) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

func subscriptionOf(info *jetstream.ConsumerInfo) Subscription {
	s := Subscription{
		Name: info.Name, Filters: filtersOf(info), Created: info.Created.UTC(), Pending: info.NumPending, Unacknowledged: info.NumAckPending,
	}
	for _, at := range []*time.Time{info.Delivered.Last, info.AckFloor.Last} {
		if at != nil && at.After(s.LastActive) {
			s.LastActive = at.UTC()
		}
	}
	return s
}

// Unsubscribe removes a subscription, and with it how far its watcher has come.
func (c *Conn) Unsubscribe(ctx context.Context, name string) error {
	if !ValidSubscription(name) {
		return errSubscriptionName
	}
	final := func(err error) bool {
		return errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err)
	}
	tried := false
	err := retry.Do(ctx, final, func(ctx context.Context) error {
		err := c.js.DeleteConsumer(ctx, c.stream(events), name)
		if tried && errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil // an earlier try removed it, and its answer was lost
		}
		tried = true
		return err
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return ErrNoSubscription
	}
	return err
}
