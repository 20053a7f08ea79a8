package redoxclient

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
)

// expectAbove is the body size from which "100-continue" is worth its round
// trip: an early 401, 413 or 429 then costs no byte of the source.
const expectAbove = 1 << 20

// expectation is what the server said before it saw the body.
type expectation struct {
	answering atomic.Bool   // the first byte of some answer has come
	informed  chan struct{} // closed when that answer turned out to be a 1xx
	once      sync.Once
	interim   atomic.Int64
}

// maxInterim bounds the 1xx answers before the real one.
const maxInterim = 16

var errInterim = errors.New("too many 1xx answers")

func (k call) expects() bool { return k.body.Size > expectAbove && !k.unasked }

// refusedExpect reports whether ans refuses the wait for "100 Continue" alone:
// whoever gets a 417 repeats the request without it (RFC 9110, 10.1.1), and a
// proxy that knows no expectation would else end every large file. A message
// that was handed over whole all the same is not repeated.
func (k call) refusedExpect(ans *answer) bool {
	return ans.status == http.StatusExpectationFailed && k.expects() && !(k.op.Message() && ans.whole)
}

func (a *attempt) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { a.connected.Store(true); a.dog.moved() },
		WroteHeaders:         a.left,
		GotFirstResponseByte: func() { a.expect.answering.Store(true) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			if a.expect.interim.Add(1) > maxInterim {
				return errInterim
			}
			a.expect.once.Do(func() { close(a.expect.informed) })
			return nil
		},
	}
}

// awaitContinue keeps the body back once the server has answered for good.
// net/http sends the whole body after such an answer, to keep the connection,
// and may lose the answer when the server does not want to read; giving up the
// connection is cheaper than a file.
func (a *attempt) awaitContinue() error {
	if !a.expect.answering.Load() {
		return nil // the wait for "100 Continue" ran out
	}
	select {
	case <-a.expect.informed:
		return nil
	case <-a.ctx.Done():
		return errBodyClosed
	}
}
