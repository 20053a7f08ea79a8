// Package stdlog keeps what libraries write to Go's standard logger (package
// log) out of sight. net/http quotes there what a server sent unasked
// ("Unsolicited response received on idle HTTP channel starting with …"): bytes
// of Redox's answers, of files, and keys of objects, which nothing of ours may
// tell.
package stdlog

import (
	"log"
	"log/slog"
	"sync"
	"time"
)

// every is how often the process's log says at most that texts were dropped.
const every = time.Minute

// Gag is the output of a standard logger: it drops every text, and says in the
// process's own log that there was one.
type Gag struct {
	mu  sync.Mutex
	log *slog.Logger // nil until Tell
	// told is when the log last said so; texts and bytes were dropped since.
	told         time.Time
	texts, bytes int
}

// Take makes the standard logger write to a Gag from now on. It is the first
// thing that main does. Nobody may call slog.SetDefault after it: that leads
// the standard logger, with its texts, to the handler it is given.
func Take() *Gag {
	g := &Gag{}
	log.SetFlags(0)
	log.SetOutput(g)
	return g
}

// For makes a logger for a library that wants one of its own, such as an
// http.Server: its texts, which may hold the value of a panic, are dropped, and
// to says so.
func For(to *slog.Logger) *log.Logger { return log.New(&Gag{log: to}, "", 0) }

// Tell says from now on in to what is dropped, and at once what has been. Before
// the first call nothing is said. A nil Gag tells nothing.
func (g *Gag) Tell(to *slog.Logger) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = to
	g.say()
}

// Write implements io.Writer. The loggers of package log call it once a text.
func (g *Gag) Write(text []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.texts++
	g.bytes += len(text)
	g.say()
	return len(text), nil
}

// say is called with the lock held, at the first text and then as often as may
// be.
func (g *Gag) say() {
	now := time.Now()
	if g.log == nil || g.texts == 0 || !g.told.IsZero() && now.Sub(g.told) < every {
		return
	}
	g.log.Warn("a library wrote to the standard log; its text is not shown", "texts", g.texts, "bytes", g.bytes)
	g.told, g.texts, g.bytes = now, 0, 0
}
