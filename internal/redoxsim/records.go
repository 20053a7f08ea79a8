package redoxsim

import (
	"context"
	"io"
	"slices"
	"time"
)

// How a file came with its message.
const (
	Embedded = "embedded" // base64 inside the message
	Uploaded = "uploaded" // named by a URL this simulator issued
	External = "external" // named by a URL of another host; bytes unknown
	Text     = "text"     // Data Model text in a note that is not base64
)

// File is one file a message carried or named.
type File struct {
	ContentType string `json:"content_type,omitzero"`
	Title       string `json:"title,omitzero"`
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256,omitzero"`
	// How is Embedded, Uploaded, External or Text.
	How string `json:"how"`
	// URL is set for Uploaded and External.
	URL string `json:"url,omitzero"`

	sha1 []byte
	open func() (io.ReadCloser, error)
}

// Open reads the file's decoded bytes. External files cannot be opened.
func (f File) Open() (io.ReadCloser, error) { return openOr(f.open) }

// Bytes reads the whole file into memory.
func (f File) Bytes() ([]byte, error) { return readAll(f.Open) }

// Message is one message the simulator took, as a real Redox would have
// queued it. Repeats are kept as often as they came: Redox does not deduplicate.
type Message struct {
	// Seq counts from 1 in the order of acceptance.
	Seq int `json:"seq"`
	// Started is when the request came, At when the message was taken.
	Started time.Time `json:"started"`
	At      time.Time `json:"at"`
	// From is the remote address of the request.
	From string `json:"from"`
	// Operation is "documentreference-create", "notes-new" and so on.
	Operation string `json:"operation"`
	// Destination is the slug, or the first Data Model destination id.
	Destination  string   `json:"destination"`
	Destinations []string `json:"destinations"`
	// Environment is empty for Data Model messages, which do not name one.
	Environment string `json:"environment,omitzero"`
	Client      string `json:"client"`
	Source      string `json:"source"`
	// BundleID is Bundle.id where the sender gave one.
	BundleID string `json:"bundle_id,omitzero"`
	// DocumentID is DocumentReference.masterIdentifier.value, DocumentID of a
	// Note or Media, the first identifier of a report or observation, or the
	// id of the first order.
	DocumentID string  `json:"document_id,omitzero"`
	Files      []File  `json:"files"`
	Receipt    Receipt `json:"receipt"`
	Body       Body    `json:"body"`

	// model and event are what the message's log calls it.
	model, event string
}

// Receipt is what the simulator answered to a message.
type Receipt struct {
	Location string   `json:"location,omitzero"`
	LogIDs   []string `json:"log_ids,omitzero"`
	TraceID  string   `json:"trace_id"`
}

// Body is the request body as it arrived.
type Body struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Path is the file that holds it; empty for a small body in memory.
	Path string `json:"path,omitzero"`

	mem []byte
}

// Upload is one file taken by Binary or /upload.
type Upload struct {
	Seq         int    `json:"seq"`
	URL         string `json:"url"`
	ContentType string `json:"content_type,omitzero"`
	FileName    string `json:"file_name,omitzero"` // of a multipart upload
	Client      string `json:"client"`
	// Source is the one source that may name the URL; empty for a multipart
	// upload of a client with several, any of which may.
	Source   string    `json:"source,omitzero"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// From is the remote address of the request.
	From string `json:"from"`
	// Named are the sequence numbers of the messages that named the URL.
	Named []int `json:"named"`
	Body  Body  `json:"body"`

	sha1 []byte
}

// Request is one finished request of the bounded log. It holds no body.
type Request struct {
	Seq    int    `json:"seq"`
	Method string `json:"method"`
	Path   string `json:"path"`
	// Status is 0 when the connection was cut or left hanging.
	Status int       `json:"status"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	// BodyRead counts the body bytes the simulator read.
	BodyRead int64 `json:"body_read"`
	// Fault is the action of the injected fault, if one fired.
	Fault Action `json:"fault,omitzero"`
	// Refused names the rules that a refused request broke.
	Refused []string `json:"refused,omitzero"`
}

// keptRequests bounds the request log; the oldest fall out.
const keptRequests = 20_000

// Messages lists what was accepted, in order. The files and bodies can be
// opened until Close.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Uploads lists the files taken, in order.
func (s *Server) Uploads() []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Upload, 0, len(s.uploads))
	for _, u := range s.uploads {
		c := *u
		c.Named = slices.Clone(u.Named)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Upload) int { return a.Seq - b.Seq })
	return list
}

// Requests lists the finished requests, oldest first, at most 20,000.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// AwaitMessages waits until at least n messages were accepted.
func (s *Server) AwaitMessages(ctx context.Context, n int) ([]Message, error) {
	err := s.Await(ctx, func() bool { return len(s.Messages()) >= n })
	return s.Messages(), err
}

// Await waits until the condition holds, asking it again after every request,
// acceptance and upload, and whenever a fault fires.
func (s *Server) Await(ctx context.Context, holds func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// announce wakes the waiters; the caller holds the lock.
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}
