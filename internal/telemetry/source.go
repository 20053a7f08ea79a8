package telemetry

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// sourceMeters count what is asked of the object store.
type sourceMeters struct {
	requests *prometheus.HistogramVec
	bytes    prometheus.Counter
}

func newSourceMeters(make factory) sourceMeters {
	m := sourceMeters{
		requests: make.histograms("chartpost_s3_request_duration_seconds",
			"Requests to the object store: stat, open (to the first byte of the body) and part; the result is ok or whose fault it was, the job's or the store's.", stepBuckets, "op", "result"),
		bytes: make.counter("chartpost_s3_read_bytes_total", "Bytes of files read from the object store."),
	}
	for _, op := range []string{"stat", "open", "part"} {
		m.requests.WithLabelValues(op, string(fault.Store))
	}
	return m
}

// source counts what a pipeline asks of another source.
type source struct {
	pipeline.Source
	meters sourceMeters
}

// Source gives a source that does as another and is counted.
func (t *Telemetry) Source(s pipeline.Source) pipeline.Source {
	return &source{s, t.meters.source}
}

// Stat implements pipeline.Source.
func (s *source) Stat(ctx context.Context, file schemas.File, pin *job.Pin) (*pipeline.Object, error) {
	began := time.Now()
	object, err := s.Source.Stat(ctx, file, pin)
	s.meters.asked("stat", began, err)
	return object, err
}

// Open implements pipeline.Source.
func (s *source) Open(ctx context.Context, file schemas.File, pin *job.Pin) (*pipeline.Object, error) {
	began := time.Now()
	object, err := s.Source.Open(ctx, file, pin)
	s.meters.asked("open", began, err)
	if err == nil && object.Body != nil {
		object.Body = &counted{object.Body, s.meters.bytes}
	}
	return object, err
}

// Part implements pipeline.Source.
func (s *source) Part(ctx context.Context, file schemas.File, pin job.Pin, offset, length int64) ([]byte, error) {
	began := time.Now()
	part, err := s.Source.Part(ctx, file, pin, offset, length)
	s.meters.asked("part", began, err)
	s.meters.bytes.Add(float64(len(part)))
	return part, err
}

func (m sourceMeters) asked(op string, began time.Time, err error) {
	result := resultOK
	if f := fault.Of(err); f != nil {
		result = string(f.Scope)
	}
	m.requests.WithLabelValues(op, result).Observe(time.Since(began).Seconds())
}

// counted counts the bytes of a body as they are read.
type counted struct {
	io.ReadCloser
	bytes prometheus.Counter
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(float64(n))
	return n, err
}
