package redoxsim

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// inspection is the HTTP form of the accessors, under /_sim/. It is neither
// authenticated nor counted.
func (s *Server) inspection() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/messages", func(w http.ResponseWriter, _ *http.Request) { show(w, 200, s.Messages()) })
	mux.HandleFunc("GET /_sim/messages/{n}", s.showMessage)
	mux.HandleFunc("GET /_sim/messages/{n}/files/{i}", s.showFile)
	mux.HandleFunc("GET /_sim/uploads", func(w http.ResponseWriter, _ *http.Request) { show(w, 200, s.Uploads()) })
	mux.HandleFunc("GET /_sim/uploads/{n}", s.showUpload)
	mux.HandleFunc("GET /_sim/requests", func(w http.ResponseWriter, _ *http.Request) { show(w, 200, s.Requests()) })
	mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { show(w, 200, s.Faults()) })
	mux.HandleFunc("POST /_sim/faults", s.addFault)
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /_sim/tokens/revoke", func(w http.ResponseWriter, _ *http.Request) {
		s.RevokeTokens()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func show(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, v, json.FormatNilSliceAsNull(false))
}

// message finds message n, counted from 1.
func (s *Server) message(r *http.Request) (Message, bool) {
	n, err := strconv.Atoi(r.PathValue("n"))
	list := s.Messages()
	if err != nil || n < 1 || n > len(list) {
		return Message{}, false
	}
	return list[n-1], true
}

func (s *Server) showMessage(w http.ResponseWriter, r *http.Request) {
	m, ok := s.message(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	serve(w, m.Body.Open, m.Body.Size, "application/json")
}

func (s *Server) showFile(w http.ResponseWriter, r *http.Request) {
	m, ok := s.message(r)
	i, err := strconv.Atoi(r.PathValue("i"))
	if !ok || err != nil || i < 0 || i >= len(m.Files) {
		http.NotFound(w, r)
		return
	}
	serve(w, m.Files[i].Open, m.Files[i].Size, m.Files[i].ContentType)
}

func (s *Server) showUpload(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	list := s.Uploads()
	if err != nil || n < 1 || n > len(list) {
		http.NotFound(w, r)
		return
	}
	u := list[n-1]
	serve(w, u.Body.Open, u.Body.Size, u.ContentType)
}

func serve(w http.ResponseWriter, open func() (io.ReadCloser, error), size int64, contentType string) {
	body, err := open()
	switch {
	case errors.Is(err, errNoBytes):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "the bytes cannot be read", http.StatusInternalServerError)
		return
	}
	defer body.Close()
	if !isMediaType(contentType) { // FileType of a Data Model message is free text
		contentType = "application/octet-stream"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(w, body)
}

func (s *Server) addFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 1<<20), &f); err != nil {
		show(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	if err := s.Inject(f); err != nil {
		show(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	show(w, http.StatusCreated, f)
}
