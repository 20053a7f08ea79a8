package telemetry

import "sync"

// mostCodes bounds the label code. All codes are our own and there are fewer;
// the bound is for a defect.
const mostCodes = 256

// codeBook holds the codes that have come so far.
type codeBook struct {
	mu    sync.Mutex
	known map[string]bool
}

func newCodeBook() *codeBook { return &codeBook{known: map[string]bool{}} }

// bounded is the code, or Other for one too many and for one that is no word.
func (c *codeBook) bounded(code string) string {
	if !word(code) {
		return Other
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known[code] {
		if len(c.known) >= mostCodes {
			return Other
		}
		c.known[code] = true
	}
	return code
}

// word tells a code from a text: small letters, digits and '_', 64 at most.
func word(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
