package redoxsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// exchange is one request on its way through the simulator, with the fault
// that is to befall it.
type exchange struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	t      target
	fault  *Fault
	log    Request
	client *client
	source string
}

var (
	errTooLarge = errors.New("redoxsim: body over the limit")
	errEnded    = errors.New("redoxsim: the exchange is over")
)

func (x *exchange) acts(a Action) bool { return x.fault != nil && x.fault.Action == a }

// before performs the actions that precede the body. It reports whether the
// exchange goes on. r.Body stays untouched, so that no 100 Continue is sent.
func (x *exchange) before() bool {
	if x.fault == nil {
		return true
	}
	switch f := x.fault; f.Action {
	case AnswerStatus:
		x.injected()
	case Redirect:
		x.send(&answer{status: http.StatusTemporaryRedirect, header: map[string]string{"Location": f.URL}})
	case CutBeforeBody:
		x.cut()
	case HangBeforeBody:
		x.hang()
	case DelayBody:
		return x.sleep(f.Delay)
	default:
		return true
	}
	return false
}

// afterBody performs the actions between body and processing.
func (x *exchange) afterBody() bool {
	if x.fault == nil {
		return true
	}
	switch x.fault.Action {
	case CutAfterBody:
		x.cut()
	case StatusAfterBody:
		x.injected()
	case Hang:
		x.hang()
	default:
		return true
	}
	return false
}

// injected answers what the fault says.
func (x *exchange) injected() {
	x.send(&answer{status: x.fault.Status, header: x.fault.Header, body: []byte(x.fault.Body)})
}

// body reads the request at the pace the fault allows; the reader ends with
// errTooLarge after limit bytes and with errEnded when the fault cut it off.
func (x *exchange) body(limit int64) io.Reader {
	return &bodyReader{x: x, left: limit}
}

type bodyReader struct {
	x    *exchange
	left int64
}

func (b *bodyReader) Read(p []byte) (int, error) {
	x := b.x
	if x.acts(CutMidBody) {
		if x.log.BodyRead >= x.fault.Bytes {
			x.cut()
			return 0, errEnded
		}
		p = p[:min(int64(len(p)), x.fault.Bytes-x.log.BodyRead)]
	}
	if x.acts(HangMidBody) {
		if x.log.BodyRead >= x.fault.Bytes {
			x.stand()
			return 0, errEnded
		}
		p = p[:min(int64(len(p)), x.fault.Bytes-x.log.BodyRead)]
	}
	if x.acts(SlowRead) {
		p = p[:min(int64(len(p)), max(1, x.fault.Bytes/10))]
	}
	n, err := x.r.Body.Read(p)
	x.log.BodyRead += int64(n)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errTooLarge
	}
	if errors.Is(err, io.EOF) && x.acts(CutMidBody) {
		x.cut()
		return 0, errEnded
	}
	if n > 0 && x.acts(SlowRead) && !x.sleep(time.Duration(float64(n)/float64(x.fault.Bytes)*float64(time.Second))) {
		return n, errEnded
	}
	return n, err
}

// sleep waits. When the client left or the server closed, it breaks the
// connection and reports false.
func (x *exchange) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
	case <-x.s.done:
	}
	x.cut()
	return false
}

// broken is the answer to a body that could not be read to its end; nil when
// there is nobody left to answer.
func (x *exchange) broken(err error, tooLarge *answer) *answer {
	switch {
	case errors.Is(err, errTooLarge):
		return tooLarge
	case errors.Is(err, errEnded):
		return nil
	}
	return refuseFHIR(http.StatusBadRequest, "body-incomplete")
}

// cut breaks the connection as a dying peer does: with a reset.
func (x *exchange) cut() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil { // HTTP/2 or a recorder: the stream is reset
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
}

// hang holds the connection without a word until the client leaves.
func (x *exchange) hang() {
	conn, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		select {
		case <-x.r.Context().Done():
		case <-x.s.done:
		}
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { // Close must be able to end the read below
		select {
		case <-x.s.done:
		case <-ctx.Done():
		}
		_ = conn.Close()
	}()
	_ = conn.SetDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, buffered)
}

// stand keeps the connection, and takes nothing from it any more.
func (x *exchange) stand() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err == nil {
		defer conn.Close()
	}
	<-x.s.done
}

// finish performs the actions after processing and answers.
func (x *exchange) finish(a *answer) {
	if x.fault == nil {
		x.send(a)
		return
	}
	switch f := x.fault; f.Action {
	case CutAfterProcessing:
		x.cut()
	case HangAfterProcessing:
		x.hang()
	case StatusAfterProcessing:
		x.injected()
	case DelayAnswer:
		if x.sleep(f.Delay) {
			x.send(a)
		}
	case AnswerCut:
		x.sendHalf(a)
	case AnswerOverlong:
		x.sendMore(a)
	default:
		x.send(a.disfigured(f))
	}
}

// send writes the answer and notes it in the log.
func (x *exchange) send(a *answer) {
	x.log.Status, x.log.Refused = a.status, a.refused
	a.write(x.w)
}

// sendHalf promises the whole body, writes half of it and breaks off.
func (x *exchange) sendHalf(a *answer) {
	x.log.Status = a.status
	body := a.body
	if len(body) < 2 {
		body = bytes.Repeat([]byte(" "), 2)
	}
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	cut := *a
	cut.body = body[:len(body)/2]
	cut.write(x.w)
	_ = http.NewResponseController(x.w).Flush()
	panic(http.ErrAbortHandler)
}

// sendMore writes the answer and the fault's body behind its end. Where the
// connection is not to be had, as in HTTP/2, it is the answer alone.
func (x *exchange) sendMore(a *answer) {
	if x.fault.Status == http.StatusNoContent {
		bare := *a
		bare.status, bare.body = http.StatusNoContent, nil
		a = &bare
	}
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.send(a)
		return
	}
	defer conn.Close()
	x.log.Status, x.log.Refused = a.status, a.refused
	response := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		ContentLength: int64(len(a.body)), Body: io.NopCloser(bytes.NewReader(a.body)),
	}
	a.headers(response.Header)
	var text bytes.Buffer
	_ = response.Write(&text) // to memory
	text.WriteString(x.fault.Body)
	_, _ = conn.Write(text.Bytes())
}
