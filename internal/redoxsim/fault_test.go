package redoxsim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// want says what a fault must look like from outside.
type want struct {
	status int  // 0 means the connection broke
	kept   bool // the request took effect all the same
	reset  bool // the break was a reset
	body   string
}

func TestMessageFaults(t *testing.T) {
	big := document1(`{"contentType":"x/y","data":"` + strings.Repeat("QUJD", 200_000) + `"}`)
	cases := map[Action]struct {
		f Fault
		want
	}{
		AnswerStatus:          {Fault{Status: 503, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}, want{status: 503, body: "<html>"}},
		StatusAfterBody:       {Fault{Status: 500}, want{status: 500}},
		StatusAfterProcessing: {Fault{Status: 504}, want{status: 504, kept: true}},
		DelayBody:             {Fault{Delay: time.Millisecond}, want{status: 200, kept: true}},
		DelayAnswer:           {Fault{Delay: time.Millisecond}, want{status: 200, kept: true}},
		SlowRead:              {Fault{Bytes: 1 << 30}, want{status: 200, kept: true}},
		CutBeforeBody:         {Fault{}, want{}},
		CutMidBody:            {Fault{Bytes: 100_000}, want{}},
		CutAfterBody:          {Fault{}, want{reset: true}},
		CutAfterProcessing:    {Fault{}, want{kept: true, reset: true}},
		Redirect:              {Fault{URL: "https://elsewhere.invalid/"}, want{status: 307}},
		AnswerUnreadable:      {Fault{}, want{status: 200, kept: true, body: "oops"}},
		AnswerCut:             {Fault{}, want{kept: true}},
		AnswerOversized:       {Fault{Bytes: 1 << 20}, want{status: 200, kept: true, body: "xxxxx"}},
		AnswerEmpty:           {Fault{}, want{status: 200, kept: true}},
		AnswerOverlong:        {Fault{}, want{status: 200, kept: true, body: `"201 Created"`}},
		ErrorOutcome:          {Fault{}, want{status: 200, body: `"OperationOutcome"`}},
		ErrorEntry:            {Fault{}, want{status: 200, body: `"400 Bad Request"`}},
		ErrorHeaderFatal:      {Fault{}, want{status: 200, body: `"fatal-error"`}},
		ErrorHeaderTransient:  {Fault{}, want{status: 200, body: `"transient-error"`}},
		ErrorMeta:             {Fault{}, want{status: 200, body: `"Errors":[`}},
	}
	elsewhere := []Action{Hang, HangBeforeBody, HangMidBody, HangAfterProcessing, NoLocation, PlainLocation, ForeignLocation}
	if len(cases)+len(elsewhere) != len(actions) {
		t.Fatalf("%d of %d actions have a test", len(cases)+len(elsewhere), len(actions))
	}
	for action, c := range cases {
		t.Run(string(action), func(t *testing.T) {
			b := newBench(t)
			r := b.authorized(docPath, fhirType, []byte(big))
			r.GetBody = nil // the transport must not try again by itself
			if action == AnswerStatus || action == Redirect {
				r.Header.Set("Expect", "100-continue") // or sending may fail before the answer is read
			}
			c.f.Action, c.f.Match.Kind = action, MessageRequest
			if err := b.sim.Inject(c.f); err != nil {
				t.Fatal(err)
			}
			got := b.do(r)
			if c.status == 0 && got.err == nil || c.status != 0 && (got.status != c.status || got.err != nil) {
				t.Fatalf("status %d, %v", got.status, got.err)
			}
			if c.reset && !errors.Is(got.err, syscall.ECONNRESET) {
				t.Errorf("no reset: %v", got.err)
			}
			if !strings.Contains(string(got.body), c.body) || c.f.Body != "" && got.header.Get("Content-Type") != "text/html" {
				t.Errorf("body of %d bytes lacks %s", len(got.body), c.body)
			}
			checkLogged(t, b, action, c.want)
		})
	}
}

// checkLogged waits for the server's side of the request.
func checkLogged(t *testing.T, b *bench, action Action, w want) {
	t.Helper()
	err := b.sim.Await(t.Context(), func() bool { return len(b.sim.Requests()) == 2 })
	if err != nil {
		t.Fatal(err)
	}
	if kept := len(b.sim.Messages()) == 1; kept != w.kept {
		t.Errorf("message kept: %v", kept)
	}
	last := b.sim.Requests()[1]
	if last.Fault != action || w.status != 0 && last.Status != w.status || w.status == 0 && action != AnswerCut && last.Status != 0 {
		t.Errorf("log %+v", last)
	}
	switch action {
	case CutMidBody:
		if last.BodyRead != 100_000 {
			t.Errorf("cut after %d bytes", last.BodyRead)
		}
	case AnswerStatus, CutBeforeBody, Redirect:
		if last.BodyRead != 0 {
			t.Errorf("%d bytes were read", last.BodyRead)
		}
	}
}

// TestOverlongAnswers: what is right comes first, and the rest behind it.
func TestOverlongAnswers(t *testing.T) {
	const more = "HTTP/1.1 nothing that was asked for"
	for status, upload := range map[int]bool{200: false, 201: true, 204: false} {
		b := newBench(t)
		path, kind, body := docPath, MessageRequest, document1(embeddedPDF)
		if upload {
			path, kind, body = binaryPath, UploadRequest, "x"
		}
		if err := b.sim.Inject(Fault{Action: AnswerOverlong, Match: Match{Kind: kind}, Status: status, Body: more}); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := b.authorized(path, fhirType, []byte(body)).Write(conn); err != nil {
			t.Fatal(err)
		}
		told := bufio.NewReader(conn)
		answer, err := http.ReadResponse(told, nil)
		if err != nil || answer.StatusCode != status || answer.ContentLength < 0 || answer.Close {
			t.Fatalf("%+v, %v; want %d", answer, err, status)
		}
		inside, err := io.ReadAll(answer.Body)
		if err != nil || (status == 204) != (len(inside) == 0) || upload != (answer.Header.Get("Location") != "") {
			t.Errorf("%d: %q, %v", status, inside, err)
		}
		if rest, err := io.ReadAll(told); err != nil || string(rest) != more {
			t.Errorf("%d: behind the answer is %q, %v", status, rest, err)
		}
	}
}

// TestHangs: nothing comes until the client gives up, and the simulator notices.
func TestHangs(t *testing.T) {
	for action, kept := range map[Action]bool{HangBeforeBody: false, HangMidBody: false, Hang: false, HangAfterProcessing: true} {
		t.Run(string(action), func(t *testing.T) {
			b := newBench(t)
			ctx, leave := context.WithCancel(t.Context())
			r := b.authorized(docPath, fhirType, []byte(document1(embeddedPDF))).WithContext(ctx)
			if err := b.sim.Inject(Fault{Action: action, Match: Match{Kind: MessageRequest}}); err != nil {
				t.Fatal(err)
			}
			done := make(chan reply)
			go func() { done <- b.do(r) }()
			if kept {
				if _, err := b.sim.AwaitMessages(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
			}
			leave()
			if got := <-done; !errors.Is(got.err, context.Canceled) {
				t.Errorf("answer %d, %v", got.status, got.err)
			}
			if kept || len(b.sim.Messages()) > 0 {
				checkLogged(t, b, action, want{kept: kept})
			}
		})
	}
}

// TestCloseEndsHangs: Close lets go of who still waits.
func TestCloseEndsHangs(t *testing.T) {
	for _, f := range []Fault{{Action: HangAfterProcessing}, {Action: DelayAnswer, Delay: time.Hour}} {
		b := newBench(t)
		r := b.authorized(docPath, fhirType, []byte(document1(embeddedPDF)))
		if err := b.sim.Inject(f); err != nil {
			t.Fatal(err)
		}
		done := make(chan reply)
		go func() { done <- b.do(r) }()
		if _, err := b.sim.AwaitMessages(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := b.sim.Close(); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got.err == nil {
			t.Errorf("%s: answered %d", f.Action, got.status)
		}
	}
}

func TestUploadFaults(t *testing.T) {
	cases := map[Action][2]string{ // prefixes of the header and of the body
		NoLocation:      {"", `{"location":"https://blob.simulator.invalid/`},
		PlainLocation:   {"http://blob.simulator.invalid/", `{"location":"http://blob.simulator.invalid/`},
		ForeignLocation: {"https://elsewhere.simulator.invalid/", `{"location":"https://elsewhere`},
		AnswerEmpty:     {"https://blob.simulator.invalid/", ""},
	}
	for action, prefixes := range cases {
		t.Run(string(action), func(t *testing.T) {
			b := newBench(t)
			if err := b.sim.Inject(Fault{Action: action, Match: Match{Kind: UploadRequest}}); err != nil {
				t.Fatal(err)
			}
			got := b.post(binaryPath, "x/y", []byte("x"))
			at := got.header.Get("Location")
			if got.status != 201 || !strings.HasPrefix(at, prefixes[0]) || (prefixes[0] == "") != (at == "") ||
				!bytes.HasPrefix(got.body, []byte(prefixes[1])) || (prefixes[1] == "") != (len(got.body) == 0) {
				t.Errorf("%d, %q, %s", got.status, at, got.body)
			}
			if len(b.sim.Uploads()) != 1 {
				t.Error("the upload was not kept")
			}
		})
	}
	b := newBench(t)
	if err := b.sim.Inject(Fault{Action: ForeignLocation, URL: "https://x.example/1"}, Fault{Action: PlainLocation}); err != nil {
		t.Fatal(err)
	}
	contentType, body := part(t, "file", "a", "x/y", []byte("x"))
	token := b.token() // the first fault has no hold on a token
	r := b.request("POST", "/upload", bytes.NewReader(body), "Content-Type", contentType, "Authorization", "Bearer "+token)
	if got := b.do(r); got.status != 201 || string(got.body) != `{"URI":"https://x.example/1"}` || got.header.Get("Location") != "" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestMatching: who a fault is for, and how often.
func TestMatching(t *testing.T) {
	other := strings.Replace(docPath, "good-health", "other", 1)
	message := []byte(document1(embeddedPDF))
	b := newBench(t)
	try := func(f Fault, paths []string, statuses ...int) {
		t.Helper()
		b.sim.ClearFaults()
		f.Action, f.Status = AnswerStatus, 599
		if err := b.sim.Inject(f); err != nil {
			t.Fatal(err)
		}
		token := "x"
		if f.Match.Kind == MessageRequest || f.Match.Kind == UploadRequest {
			token = b.token()
		}
		for i, path := range paths {
			r := b.request("POST", path, bytes.NewReader(message), "Content-Type", fhirType, "Authorization", "Bearer "+token)
			if got := b.do(r); got.status != statuses[i] {
				t.Errorf("%+v: request %d of %s: %d, want %d", f, i, path, got.status, statuses[i])
			}
		}
	}
	try(Fault{Match: Match{Kind: MessageRequest}}, []string{docPath, binaryPath, other}, 599, 201, 599)
	try(Fault{Match: Match{Kind: UploadRequest}}, []string{docPath, binaryPath}, 200, 599)
	try(Fault{Match: Match{Kind: AnyRequest}}, []string{docPath, binaryPath, tokenPath}, 599, 599, 599)
	try(Fault{Match: Match{Kind: MessageRequest, Destination: "other"}}, []string{docPath, other}, 200, 599)
	try(Fault{Match: Match{Kind: MessageRequest, Operation: "observation-create"}}, []string{docPath}, 200)
	try(Fault{Match: Match{Kind: MessageRequest, PathPrefix: "/fhir/R4/other/"}}, []string{docPath, other}, 200, 599)
	try(Fault{Match: Match{Kind: MessageRequest}, Skip: 1, Times: 2}, []string{docPath, docPath, docPath, docPath}, 200, 599, 599, 200)
}

// TestReplace: old faults go as the new ones come, and a wrong one changes
// nothing.
func TestReplace(t *testing.T) {
	b := newBench(t)
	for _, status := range []int{598, 599} {
		if err := b.sim.Replace(Fault{Action: AnswerStatus, Status: status}); err != nil {
			t.Fatal(err)
		}
		if err := b.sim.Replace(Fault{Action: AnswerStatus}, Fault{Action: SlowRead}); err == nil {
			t.Error("a slow read of no speed was taken")
		}
		if got := b.askToken(nil); got.status != status {
			t.Errorf("status %d, want %d", got.status, status)
		}
	}
	if n := len(b.sim.Faults()); n != 1 {
		t.Errorf("%d faults, want the last alone", n)
	}
}

// TestProbability: seeded chances repeat.
func TestProbability(t *testing.T) {
	run := func(seed uint64) string {
		b := newBench(t)
		if err := b.sim.Inject(Fault{Action: AnswerStatus, Probability: 0.5, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		var pattern strings.Builder
		for range 40 {
			pattern.WriteByte("-x"[b.askToken(nil).status/503])
		}
		return pattern.String()
	}
	one, again, other := run(1), run(1), run(2)
	if one != again || one == other || !strings.Contains(one, "x") || !strings.Contains(one, "-") {
		t.Errorf("%s %s %s", one, again, other)
	}
}

// TestDataModelFaults: destination and operation stand in the body.
func TestDataModelFaults(t *testing.T) {
	b := newBench(t)
	note, media := []byte(b.dataModel("Notes", "New", noteBody)), []byte(b.dataModel("Media", "New", mediaBody))
	try := func(f Fault, body []byte, status int) {
		t.Helper()
		b.sim.ClearFaults()
		if err := b.sim.Inject(f); err != nil {
			t.Fatal(err)
		}
		r := b.authorized("/endpoint", "application/json", body)
		r.GetBody = nil
		before := len(b.sim.Messages())
		got := b.do(r)
		if got.status != status || (len(b.sim.Messages()) > before) != (status == 200) {
			t.Errorf("%+v: %d %v", f, got.status, got.err)
		}
	}
	for _, action := range []Action{AnswerStatus, StatusAfterBody} {
		try(Fault{Action: action, Match: Match{Destination: "dest-2"}}, note, 503)
		try(Fault{Action: action, Match: Match{Destination: "dest-3"}}, note, 200)
		try(Fault{Action: action, Match: Match{Operation: "media-new"}}, media, 503)
		try(Fault{Action: action, Match: Match{Operation: "media-new"}}, note, 200)
	}
	for _, action := range []Action{CutBeforeBody, CutMidBody, CutAfterBody} {
		try(Fault{Action: action, Match: Match{Operation: "notes-new"}}, note, 0)
	}
}

// TestCutAnswerIsCut: the promised length does not come.
func TestCutAnswerIsCut(t *testing.T) {
	b := newBench(t)
	r := b.authorized(docPath, fhirType, []byte(document1(embeddedPDF)))
	if err := b.sim.Inject(Fault{Action: AnswerCut}); err != nil {
		t.Fatal(err)
	}
	got := b.do(r)
	if !errors.Is(got.err, io.ErrUnexpectedEOF) || got.status != 200 || len(got.body) == 0 || jsontext.Value(got.body).IsValid() {
		t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.err)
	}
}
