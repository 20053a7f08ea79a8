package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/schemas"
)

// lineAnswer is the answer to one line: a receipt, or a problem.
type lineAnswer struct {
	// Line counts from 1, empty lines included.
	Line   int `json:"line"`
	Status int `json:"status"`
	*receipt
	Problem *problem `json:"problem,omitempty"`
}

// linesAtOnce is how many jobs of one request are under way. Answers come in the order
// of the lines.
const linesAtOnce = 32

// writeTime is how long a caller may take to read an answer.
const writeTime = 30 * time.Second

// postLines takes many jobs, one a line, and answers each while it reads on. What comes
// faster than the caller may is read more slowly. A line that is too long, or a body that
// cannot be read, ends the request: the last line of the answer says so.
func (a *API) postLines(c *call) error {
	class, err := classOf(c.r.URL.Query())
	if err != nil {
		return err
	}
	// HTTP/1.1 would read the whole body before the first answer otherwise; HTTP/2 needs no
	// such word and says that it knows none.
	if err := http.NewResponseController(c.w).EnableFullDuplex(); err != nil && c.r.ProtoMajor == 1 {
		return err
	}
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	c.w.Header().Set("Cache-Control", "no-store")
	c.status = http.StatusOK
	c.w.WriteHeader(http.StatusOK)

	ctx, stop := context.WithCancel(c.r.Context())
	defer stop()
	answers := make(chan chan lineAnswer, linesAtOnce)
	written := make(chan struct{})
	go func() {
		defer close(written)
		if writeLines(c.w, answers) != nil {
			stop()
			for range answers { // who went away is not waited for
			}
		}
	}()
	a.readLines(ctx, c, class, answers)
	close(answers)
	<-written
	return nil
}

// readLines starts a job for each line.
func (a *API) readLines(ctx context.Context, c *call, class schemas.Class, answers chan<- chan lineAnswer) {
	b := a.body(c, 0)
	reader := bufio.NewReaderSize(b, firstPart)
	for number := 1; ; number++ {
		h := &held{quotas: a.Quotas, caller: c.grant.Caller}
		line, last, err := nextLine(reader, h)
		if err == nil && len(bytes.TrimSpace(line)) > 0 {
			err = a.Quotas.AwaitJob(ctx, c.grant.Caller)
		}
		answer := make(chan lineAnswer, 1)
		switch {
		case err != nil:
			h.release()
			answer <- failedLine(number, err)
			send(ctx, answers, answer)
			return
		case len(bytes.TrimSpace(line)) == 0:
			h.release()
		default:
			if !send(ctx, answers, answer) {
				h.release()
				return
			}
			go func() {
				defer h.release()
				answer <- a.line(ctx, c, class, number, line)
			}()
		}
		if last {
			return
		}
	}
}

func send(ctx context.Context, answers chan<- chan lineAnswer, one chan lineAnswer) bool {
	select {
	case answers <- one:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *API) line(ctx context.Context, c *call, class schemas.Class, number int, data []byte) (answer lineAnswer) {
	defer func() {
		if value := recover(); value != nil {
			a.defect(value)
			answer = failedLine(number, &intake.Refusal{Kind: intake.Unavailable, Code: "internal", Detail: "a defect of this server; see its log"})
		}
	}()
	r, err := a.store(ctx, intake.Submission{Grant: c.grant, Lane: schemas.Lane{Class: class}, Data: data})
	if err != nil {
		answer = failedLine(number, err)
		a.audit.Refused("POST /v1/jobs", c.grant.Caller, answer.Status, answer.Problem.Code)
		if r.Job.ID != "" {
			answer.receipt = &receipt{ID: r.Job.ID, Destination: r.Job.Destination, Class: r.Class, Result: "refused"}
		}
		return answer
	}
	told := receiptOf(r)
	status := http.StatusAccepted
	if r.Known {
		status = http.StatusOK
	}
	return lineAnswer{Line: number, Status: status, receipt: &told}
}

func failedLine(number int, err error) lineAnswer {
	p, _ := problemOf(err)
	return lineAnswer{Line: number, Status: p.Status, Problem: &p}
}

// nextLine reads a line without its end. Memory is counted as it fills.
func nextLine(reader *bufio.Reader, h *held) (line []byte, last bool, err error) {
	for {
		part, err := reader.ReadSlice('\n')
		if held := h.quotas.Hold(h.caller, int64(len(part))); held != nil {
			return nil, true, held
		}
		h.size += int64(len(part))
		if int64(h.buffer.Len()+len(part)) > schemas.MaxJobSize+2 {
			return nil, true, tooLargeJob()
		}
		h.buffer.Write(part)
		switch {
		case err == nil:
			return bytes.TrimRight(h.buffer.Bytes(), "\r\n"), false, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return h.buffer.Bytes(), true, nil
		default:
			return nil, true, err
		}
	}
}

// writeLines writes each answer when it is there, and sends it on when the next is not.
func writeLines(w http.ResponseWriter, answers <-chan chan lineAnswer) error {
	conn := http.NewResponseController(w)
	encoder := json.NewEncoder(w)
	for one := range answers {
		answer := <-one
		_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
		if err := encoder.Encode(answer); err != nil {
			return err
		}
		if len(answers) == 0 {
			if err := conn.Flush(); err != nil {
				return err
			}
		}
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return nil
}
