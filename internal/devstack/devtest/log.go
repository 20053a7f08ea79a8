package devtest

import (
	"bytes"
	"log/slog"
	"sync"
)

// Log is what a program under test wrote, to be read while it writes on.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Tail is the end of it, for a failing test to print.
func (l *Log) Tail() string {
	text := l.String()
	return text[max(len(text)-4000, 0):]
}

// Logger writes to the log at every level.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
