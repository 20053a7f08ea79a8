package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// size is that of the worker's program, in bytes: built as `make release`
// does, and without its symbol table, as in the image.
type size struct {
	Release  int64 `json:"release"`
	Stripped int64 `json:"stripped"`
}

func measureSize(ctx context.Context, s *stage, _ options, to *report) error {
	to.Size = &size{}
	for path, build := range map[*int64][]string{&to.Size.Release: {"-trimpath"}, &to.Size.Stripped: {"-trimpath", "-ldflags=-s"}} {
		program := filepath.Join(s.dir, "sized")
		if err := goBuild(ctx, program, "github.com/chartpost/chartpost/cmd/chartpost", build...); err != nil {
			return err
		}
		about, err := os.Stat(program)
		if err != nil {
			return err
		}
		*path = about.Size()
	}
	return nil
}

func printSize(w io.Writer, s *size) {
	fmt.Fprintf(w, "\nprogram: %.1f MB, without symbols %.1f MB\n", float64(s.Release)/1e6, float64(s.Stripped)/1e6)
}
