package natsq

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/schemas"
)

// TestWhatTheIndexMayNotDo: each permission that is missing is named at once.
func TestWhatTheIndexMayNotDo(t *testing.T) {
	t.Parallel()
	admin, poor, reload := divided(t)
	for range jobindex.MostEvents {
		e := schemas.NewEvent("chartpost", schemas.EventData{JobID: "a", Class: schemas.Live, Destination: "good-health", Status: schemas.StatusUploaded}, time.Now())
		data, err := e.Encode()
		must(t, err)
		_, err = admin.js.PublishAsync(schemas.EventSubject("chartpost", lane1, e.Data.Status), data, jetstream.WithStallWait(limit))
		must(t, err)
	}
	<-admin.js.PublishAsyncComplete()
	more := func() bool { return true }
	refused := func(subject string, err error) {
		t.Helper()
		if _, ok := errors.AsType[*Denied](err); !ok || !strings.Contains(err.Error(), subject) || !strings.Contains(err.Error(), "docs/permissions.md") {
			t.Errorf("without %s: %v", subject, err)
		}
	}
	for _, subject := range []string{"$JS.API.STREAM.INFO.CHARTPOST_EVENTS", "$JS.API.STREAM.INFO.CHARTPOST_INDEX", "$JS.API.DIRECT.GET.CHARTPOST_EVENTS", "chartpost.index.segment"} {
		reload(subject)
		_, err := poor.Index().Build(t.Context(), more)
		refused(subject, err)
	}
	if p, err := admin.Index().Build(t.Context(), more); err != nil || p.Segments != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, subject := range []string{"$JS.API.CONSUMER.CREATE.CHARTPOST_INDEX", "$JS.API.STREAM.MSG.GET.CHARTPOST_EVENTS"} {
		reload(subject+".>", subject)
		_, err := poor.Index().Build(t.Context(), more)
		refused(subject, err)
	}
	reload("$JS.API.DIRECT.GET.CHARTPOST_INDEX")
	view, err := poor.Index().Open(t.Context())
	must(t, err)
	_, err = view.After(t.Context(), 0, jobindex.Class(schemas.Live))
	refused("$JS.API.DIRECT.GET.CHARTPOST_INDEX", err)
	reload("$JS.API.STREAM.INFO.CHARTPOST_INDEX")
	refused("$JS.API.STREAM.INFO.CHARTPOST_INDEX", poor.VerifyIndex(t.Context()))
	reload()
	must(t, poor.VerifyIndex(t.Context()))
}

func TestASpanIsReadAsItWasWritten(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 123456789, time.UTC)
	span := jobindex.Span{From: 7, Last: 1 << 40, Since: at, Until: at.Add(time.Hour), Born: at.Add(-time.Hour)}
	if got, err := parseSpan(formSpan(span) + " more"); err != nil || got != span {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "1 2 3 4", "1 2 3 4 x", "1 -2 3 4 5", "1 2 3 4 99999999999999999999"} {
		if got, err := parseSpan(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}
