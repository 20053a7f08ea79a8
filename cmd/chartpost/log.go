package main

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// logFlags say how to log. Logs go to standard error; they hold no patient data
// at any level.
type logFlags struct {
	Level  slog.Level `default:"info" help:"debug, info, warn or error."`
	Format string     `default:"auto" enum:"auto,json,text" help:"json, text, or auto: text on a terminal, else json."`
}

func (l logFlags) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "text" || l.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
