package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// Denied is the end of what this user may not do. The server does not answer such a
// request: it says so beside it.
type Denied struct {
	// verb is "publish to" or "subscribe to".
	verb, subject string
}

func (d *Denied) Error() string {
	return fmt.Sprintf("the server does not allow this NATS user to %s %q; give it the permissions of its role, which docs/permissions.md lists", d.verb, d.subject)
}

// deniedBy reads a permission error of the server.
func deniedBy(err error) (verb, subject string, ok bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", "", false
	}
	_, quoted, _ := strings.Cut(err.Error(), `"`)
	subject, _, _ = strings.Cut(quoted, `"`)
	if strings.Contains(err.Error(), "Subscription") {
		return "subscribe to", subject, true
	}
	return "publish to", subject, true
}

// denials hands what the server denies to those who wait for an answer.
type denials struct {
	mu      sync.Mutex
	waiting map[*denialWait]bool
}

// denialWait is somebody who waits for answers about a stream or bucket.
type denialWait struct {
	about string
	end   context.CancelCauseFunc
}

// watch gives a context that ends with a *Denied when the server denies a subject that
// names the stream or bucket.
func (d *denials) watch(ctx context.Context, about string) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	w := &denialWait{about, end}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting = map[*denialWait]bool{}
	}
	d.waiting[w] = true
	return ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.waiting, w)
		end(nil)
	}
}

func (d *denials) add(denied *Denied) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.waiting {
		if strings.Contains(denied.subject, w.about) {
			w.end(denied)
		}
	}
}

// sparable reports whether delivery goes on without a right to the subject: to announce a
// worker, or to add to the job index. A role of an earlier version lacks those, and such a
// worker is fit for its jobs.
func (c *Conn) sparable(subject string) bool {
	store := segmentStore{c}
	return subject == store.subject() || strings.HasPrefix(subject, c.control().subject(presentPrefix)) ||
		strings.HasPrefix(subject, "$JS.API.") && slices.Contains(strings.Split(subject, "."), c.stream(index)) ||
		slices.Contains([]string{"$JS.API.DIRECT.GET." + c.stream(events), "$JS.API.STREAM.MSG.GET." + c.stream(events)}, subject)
}
