package redoxsim

import "net/http"

func (s *Server) inspect(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
