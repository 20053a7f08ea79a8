package redoxsim

import (
	"net"
	"net/http"
	"strconv"
)

// admit counts a request against the rolling window of its address. Redox
// counts by egress IP address; refused requests are not counted here.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) *answer {
	limit := s.cfg.Rate
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit.Requests))
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	window := s.windows[address]
	for len(window) > 0 && !window[0].After(now.Add(-limit.Window)) {
		window = window[1:]
	}
	if len(window) < limit.Requests {
		s.windows[address] = append(window, now)
		return nil
	}
	s.windows[address] = window
	return refuseFHIR(http.StatusTooManyRequests, "rate-limit")
}

// WindowUsed is the largest number of counted requests that any address now
// has in its rolling window.
func (s *Server) WindowUsed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, most := s.cfg.Now().Add(-s.cfg.Rate.Window), 0
	for _, window := range s.windows {
		n := 0
		for _, at := range window {
			if at.After(from) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
