package cli

import "log/slog"

// logFlags say how to log. Logs go to standard error; they hold no patient data
// at any level.
type logFlags struct {
	Level  string `default:"info" enum:"debug,info,warn,error" placeholder:"info" help:"Least level to log: debug, info, warn or error."`
	Format string `default:"auto" enum:"auto,json,text" placeholder:"auto" help:"json, text, or auto: text on a terminal, else json."`
}

// logger is the process's log, which from now on tells of texts that libraries
// wrote past it.
func (l logFlags) logger(std Streams) *slog.Logger {
	log := slog.New(l.handler(std))
	std.Libraries.Tell(log)
	return log
}

func (l logFlags) handler(std Streams) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo // cannot be: the flag takes no other words
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "text" || l.Format == "auto" && std.ErrTerminal {
		return slog.NewTextHandler(std.Err, options)
	}
	return slog.NewJSONHandler(std.Err, options)
}
