package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartpost/chartpost/schemas"
)

// sink takes what stands at one moment.
type sink struct{ out chan<- prometheus.Metric }

func (s sink) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (s sink) flag(desc *prometheus.Desc, set bool, labels ...string) {
	value := 0.0
	if set {
		value = 1
	}
	s.gauge(desc, value, labels...)
}

func (s sink) lane(name schemas.Lane, one *laneSum) {
	labels := []string{string(name.Class), name.Destination}
	s.gauge(laneJobsDesc, float64(one.jobs), labels...)
	s.gauge(laneHandDesc, float64(one.inHand), labels...)
	s.gauge(laneBrokenDesc, float64(one.broken), labels...)
	s.gauge(lanePausedDesc, float64(one.paused), labels...)
	if one.limitStated {
		s.gauge(laneLimitDesc, float64(one.limit), labels...)
	}
	if !one.oldest.IsZero() {
		s.gauge(laneOldestDesc, seconds(one.oldest), labels...)
	}
}

func (s sink) budget(b Budget) {
	if b.Limit == 0 {
		return
	}
	s.gauge(budgetLimitDesc, float64(b.Limit))
	s.gauge(budgetEffectiveDesc, float64(b.Effective))
	s.gauge(budgetUsedDesc, float64(b.Live), "live")
	s.gauge(budgetUsedDesc, float64(b.Backfill), "backfill")
	s.gauge(budgetUsedDesc, float64(b.Out), "permits")
	s.gauge(budgetUsedDesc, float64(b.Assumed), "assumed")
	s.gauge(budgetWaitingDesc, float64(b.WaitingLive), "live")
	s.gauge(budgetWaitingDesc, float64(b.WaitingBackfill), "backfill")
	s.gauge(budgetHeldDesc, b.Held.Seconds())
	s.gauge(budgetAgeDesc, b.Age.Seconds())
}

func (s sink) queue(q Queue) {
	s.flag(natsConnectedDesc, q.Connected)
	s.out <- prometheus.MustNewConstMetric(natsReconnectsDesc, prometheus.CounterValue, float64(q.Reconnects))
	s.gauge(natsTroublesDesc, float64(q.Troubles))
	s.out <- prometheus.MustNewConstMetric(renewedDesc, prometheus.CounterValue, float64(q.Renewed))
	for _, stream := range q.Streams {
		s.gauge(streamMessagesDesc, float64(stream.Messages), stream.Name)
		s.gauge(streamBytesDesc, float64(stream.Bytes), stream.Name)
		if stream.Name == "dead" {
			s.gauge(deadDesc, float64(stream.Messages))
		}
	}
}
