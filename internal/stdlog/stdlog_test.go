package stdlog

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const canary = "KANARIENVOGEL"

// lines gives a log and what it said so far, a line each.
func lines() (*slog.Logger, func() []string) {
	var said bytes.Buffer
	untimed := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	return slog.New(slog.NewTextHandler(&said, untimed)), func() []string {
		return slices.Collect(strings.Lines(said.String()))
	}
}

func line(texts, bytes int) string {
	return fmt.Sprintf("level=WARN msg=\"a library wrote to the standard log; its text is not shown\" texts=%d bytes=%d\n", texts, bytes)
}

// TestTextsAreDropped: those from before there is a log are told of once there
// is one, the first at once, and the others once a minute at most.
func TestTextsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { log.SetOutput(os.Stderr); log.SetFlags(log.LstdFlags) })
		gag := Take()
		text := canary + "\n"
		log.Print(canary)
		slog.Info(canary) // its default is the standard logger
		to, said := lines()
		gag.Tell(to)
		want := []string{line(2, len(text)+len("INFO ")+len(text))}
		for range 3 {
			log.Printf("%q", canary)
			time.Sleep(every / 4)
		}
		if got := said(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		time.Sleep(every / 4)
		log.Print(canary)
		want = append(want, line(4, 4*len(text)+6))
		time.Sleep(2 * every)
		log.Print(canary)
		gag.Tell(to)
		want = append(want, line(1, len(text)))
		if got := said(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestALibraryWithALoggerOfItsOwn(t *testing.T) {
	to, said := lines()
	For(to).Printf("http: panic serving 127.0.0.1: %v", canary)
	if got, want := said(), []string{line(1, len("http: panic serving 127.0.0.1: ")+len(canary)+1)}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNoGag(t *testing.T) {
	var none *Gag
	none.Tell(slog.New(slog.DiscardHandler))
}

// TestNobodyElseUsesTheStandardLogger: what is written there is not seen, and
// slog.SetDefault would let texts out.
func TestNobodyElseUsesTheStandardLogger(t *testing.T) {
	files, read := token.NewFileSet(), 0
	for _, root := range []string{"cmd", "internal", "pipeline", "redoxclient", "schemas", "worker"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "stdlog.go") || strings.Contains(path, "generate") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			read++
			for _, i := range file.Imports {
				if i.Path.Value == `"log"` {
					t.Errorf("%s imports log", path)
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && ofDefault(s) {
					t.Errorf("%s: slog.%s", files.Position(s.Pos()), s.Sel.Name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 100 {
		t.Errorf("%d files were read: too few to prove anything", read)
	}
}

// ofDefault tells what uses or sets slog's default logger.
func ofDefault(s *ast.SelectorExpr) bool {
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "slog" && slices.Contains([]string{
		"SetDefault", "Default", "SetLogLoggerLevel", "With", "Log", "LogAttrs", "Debug", "Info", "Warn", "Error",
		"DebugContext", "InfoContext", "WarnContext", "ErrorContext",
	}, s.Sel.Name)
}
