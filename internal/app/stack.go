package app

import "log/slog"

// stack is what has been opened, closed in reverse order: after success, after
// a failure, and after a start that did not get far.
type stack []opened

type opened struct {
	name  string
	close func() error
}

func (s *stack) push(name string, close func() error) { *s = append(*s, opened{name, close}) }

func (s *stack) close(log *slog.Logger) {
	for i := len(*s) - 1; i >= 0; i-- {
		if err := (*s)[i].close(); err != nil {
			log.Warn("closing", "part", (*s)[i].name, "error", err)
		}
	}
	*s = nil
}
