// Command release builds the programs of a commit for every platform, twice and
// in different folders, compares the two, and writes what is published: the
// binaries, their SHA-256 sums, and a list of what is linked into each
// (CycloneDX). It publishes nothing itself.
//
// The same commit, built by the same version of Go, gives the same bytes on any
// machine: paths are trimmed, cgo is off, and the version comes from the commit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

// platforms are those that are released, as GOOS/GOARCH.
const platforms = "linux/amd64,linux/arm64,darwin/arm64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	var r release
	flags.StringVar(&r.repository, "repository", ".", "the checkout to release from")
	flags.StringVar(&r.commit, "commit", "HEAD", "what to release; changes that are not committed are not in it")
	flags.StringVar(&r.dir, "out", "dist", "the folder to write to; it must be empty or missing")
	flags.StringVar(&r.program, "package", "./cmd/chartpost", "the package to build")
	flags.BoolVar(&r.warm, "warm", false, "compile with the build cache of this machine: quicker, and proves less")
	list := flags.String("platforms", platforms, "what to build for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return errors.New("takes no arguments")
	}
	for one := range strings.SplitSeq(*list, ",") {
		system, machine, ok := strings.Cut(one, "/")
		if !ok || system == "" || machine == "" {
			return errors.New("-platforms are written like linux/amd64,darwin/arm64")
		}
		r.platforms = append(r.platforms, platform{system, machine})
	}
	return r.make(ctx, out)
}
