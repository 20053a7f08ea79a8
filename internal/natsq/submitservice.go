package natsq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/time/rate"

	"github.com/chartpost/chartpost/internal/fairqueue"
	"github.com/chartpost/chartpost/schemas"
)

// SubmitName is the intake's name as a NATS micro service.
const SubmitName = "chartpost-intake"

// The endpoints beside those of the classes, in the place of the class.
const statusEndpoint = "status"

// Answer is what a request is answered with: a status as HTTP has them, and JSON.
type Answer struct {
	Status int
	// Code is a stable word where Status is not 2xx.
	Code string
	Body any
}

// SubmitHandler answers the requests that come over NATS.
type SubmitHandler interface {
	// Admit takes the right to one request for a destination, and reports whether there
	// is one. It does not wait: it is asked for every request that comes.
	Admit(destination string) bool
	// Submit takes a job for a lane.
	Submit(ctx context.Context, lane schemas.Lane, data []byte) Answer
	// Status tells of a job.
	Status(ctx context.Context, job schemas.JobKey) Answer
}

// SubmitService is the intake on NATS, a micro service of which any number may run:
//
//	chartpost.submit.<class>.<destination>    a job
//	chartpost.submit.status.<destination>     the id of a job
//
// NATS: ADR-32, "Service API".
type SubmitService struct {
	conn    *Conn
	service micro.Service
	handler SubmitHandler
	ctx     context.Context
	cancel  context.CancelFunc
	waiting *fairqueue.Queue[micro.Request]
	log     *saidSeldom
	// refusals bounds how many are told that they come too fast, in a second.
	refusals *rate.Limiter
}

// Requests that wait in this process are bounded, in number and bytes: more would only
// be answered after its caller has given up. Each destination has its turn, so that a
// flood of jobs for one delays no other.
const (
	mostWaitingRequests = 512
	mostWaitingBytes    = 4 << 20
	// The same for what the library has read and not handed over yet, of one endpoint:
	// what is more is dropped whosever it is, so it is only for a process that stands still.
	mostUnreadRequests = 1 << 16
	mostUnreadBytes    = 16 << 20
	refusalsPerSecond  = 500
)

// ServeSubmit begins to answer, atOnce requests at a time. version is this build's.
func (c *Conn) ServeSubmit(handler SubmitHandler, atOnce int, version string) (*SubmitService, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &SubmitService{
		conn: c, handler: handler, ctx: ctx, cancel: cancel, log: &saidSeldom{log: c.log}, refusals: rate.NewLimiter(refusalsPerSecond, refusalsPerSecond),
		waiting: fairqueue.New[micro.Request](fairqueue.Limits{Places: atOnce, Waiting: mostWaitingRequests, Bytes: mostWaitingBytes}),
	}
	service, err := micro.AddService(c.nc, micro.Config{
		Name: SubmitName, Version: "1.0.0", Description: "Chartpost: takes jobs, and tells of them",
		Metadata: map[string]string{"build": version, "prefix": c.prefix}, QueueGroup: SubmitName,
		ErrorHandler: func(micro.Service, *micro.NATSError) {
			s.log.warn("more requests came over NATS than this process reads: some were dropped, and their callers ask again")
		},
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("serving on NATS: %w", err)
	}
	s.service = service
	for _, name := range []string{string(schemas.Live), string(schemas.Backfill), statusEndpoint} {
		err := service.AddEndpoint(name, micro.HandlerFunc(s.handle),
			micro.WithEndpointSubject(c.submitSubject(name)), micro.WithEndpointPendingLimits(mostUnreadRequests, mostUnreadBytes))
		if err != nil {
			cancel()
			return nil, fmt.Errorf("serving on NATS: %w", err)
		}
	}
	return s, nil
}

// overrun reports whether an error says that requests of callers were dropped, since more
// came than wait in this process. That is what those limits are for, and no trouble of the
// connection: it keeps no caller out who comes over HTTP.
func (c *Conn) overrun(sub *nats.Subscription, err error) bool {
	return errors.Is(err, nats.ErrSlowConsumer) && sub != nil && strings.HasPrefix(sub.Subject, c.prefix+".submit.")
}

// saidSeldom writes warnings, at most one every sayAgain.
type saidSeldom struct {
	log  *slog.Logger
	mu   sync.Mutex
	said time.Time
}

func (s *saidSeldom) warn(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.said) >= sayAgain {
		s.said = time.Now()
		s.log.Warn(text)
	}
}

func (c *Conn) submitSubject(endpoint string) string { return c.prefix + ".submit." + endpoint + ".*" }

// handle lets a request wait for its destination's turn.
func (s *SubmitService) handle(r micro.Request) {
	if !answerable(r.Reply()) {
		return
	}
	token := r.Subject()[strings.LastIndexByte(r.Subject(), '.')+1:]
	if destination, err := schemas.ParseToken(token); err == nil && schemas.ValidAddress(destination) && !s.handler.Admit(destination) {
		s.refuse(r, "rate", "requests for this destination come faster than they may; send it again in a second")
		return
	}
	evicted, ok := s.waiting.Push(token, r, len(r.Data()))
	if !ok {
		evicted = append(evicted, r)
	}
	for _, one := range evicted {
		s.refuse(one, "too_many_requests", "more requests for this destination wait here than may; send it again in a second")
	}
	s.work()
}

// refuse answers a request for which there is no room. In a flood most get no answer:
// answers would take the time that others need.
func (s *SubmitService) refuse(r micro.Request, code, detail string) {
	if s.refusals.Allow() {
		s.log.warn("requests for a destination come over NATS faster than they are taken: some were refused")
		s.respond(r, problemAnswer(429, code, detail))
	}
}

// work begins with as many requests as have a place.
func (s *SubmitService) work() {
	for {
		destination, r, ok := s.waiting.Next()
		if !ok {
			return
		}
		go func() {
			s.respond(r, s.answer(r))
			s.waiting.Done(destination)
			s.work()
		}()
	}
}

// answerable reports whether a reply subject is an inbox, or the server's own for a
// request that came from another account. Any other could aim the answer, which is sent
// with the intake's rights, at a stream.
func answerable(reply string) bool {
	return (strings.HasPrefix(reply, nats.InboxPrefix) || strings.HasPrefix(reply, "_R_.")) && !strings.ContainsAny(reply, "*>")
}

func (s *SubmitService) answer(r micro.Request) Answer {
	rest := strings.TrimPrefix(r.Subject(), s.conn.prefix+".submit.")
	endpoint, token, _ := strings.Cut(rest, ".")
	destination, err := schemas.ParseToken(token)
	if err != nil || !schemas.ValidAddress(destination) {
		return problemAnswer(422, "subject_invalid", "the last token of the subject is no destination; see docs/integrating.md for how one is escaped")
	}
	ctx := schemas.WithTrace(s.ctx, traceOf(nats.Header(r.Headers())))
	if endpoint == statusEndpoint {
		id := strings.TrimSpace(string(r.Data()))
		if !schemas.ValidJobID(id) {
			return problemAnswer(422, "id_invalid", "the request's body is the id of a job, and nothing else")
		}
		return s.handler.Status(ctx, schemas.JobKey{Destination: destination, ID: id})
	}
	return s.handler.Submit(ctx, schemas.Lane{Class: schemas.Class(endpoint), Destination: destination}, r.Data())
}

func problemAnswer(status int, code, detail string) Answer {
	return Answer{Status: status, Code: code, Body: map[string]any{"status": status, "code": code, "detail": detail}}
}

// respond answers a request in the form of the library. The library's own way would be a
// race: it looks at the request once the handler has returned.
func (s *SubmitService) respond(r micro.Request, a Answer) {
	answer := nats.NewMsg(r.Reply())
	if a.Status/100 != 2 {
		answer.Header.Set(micro.ErrorCodeHeader, strconv.Itoa(a.Status))
		answer.Header.Set(micro.ErrorHeader, a.Code)
	}
	var err error
	if answer.Data, err = json.Marshal(a.Body); err == nil {
		err = s.conn.nc.PublishMsg(answer)
	}
	if err != nil {
		s.conn.log.Debug("an answer over NATS was not sent; the caller asks again", "error", reasonOf(err))
	}
}

// Stop takes no more requests, and waits for those in hand until ctx ends.
func (s *SubmitService) Stop(ctx context.Context) {
	_ = s.service.Stop() // its subscriptions drain
	select {
	case <-s.waiting.Empty():
	case <-ctx.Done():
	}
	s.cancel()
	s.conn.flush()
}
