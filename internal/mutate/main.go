// Command mutate changes the program in one small place at a time and runs the tests
// of the changed package. A change that no test notices is a hole in the tests.
//
//	go run ./internal/mutate -packages ./worker,./pipeline -sample 100 -seed 1
//
// The source is never written to: the go command gets each change by -overlay. The
// sample is drawn from all changes of the packages by the seed, so that a run can be
// repeated. What survives is printed with its place and the change, and ends the
// program with 1, unless the list of accepted survivors has it, with a reason.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"
)

type options struct {
	packages, files, run, accepted string
	sample                         int
	seed                           uint64
	timeout                        time.Duration
	list                           bool
}

func main() {
	var o options
	flag.StringVar(&o.packages, "packages", "./pipeline", "packages to change, separated by commas")
	flag.StringVar(&o.files, "files", "", "change only files whose name matches this regular expression")
	flag.StringVar(&o.run, "run", "", "run only these tests of the package, as go test -run does")
	flag.StringVar(&o.accepted, "accepted", "internal/mutate/accepted.txt", "file of the survivors that are accepted")
	flag.IntVar(&o.sample, "sample", 50, "how many changes to try; 0 is all")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the sample")
	flag.DurationVar(&o.timeout, "timeout", 3*time.Minute, "time for the tests of one change; a change that exceeds it is killed")
	flag.BoolVar(&o.list, "list", false, "print the changes of the sample, and try none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survived, err := mutate(ctx, o, os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	case survived > 0:
		os.Exit(1)
	}
}

// mutate tries a sample, and gives how many changes survived that are not accepted.
func mutate(ctx context.Context, o options, out io.Writer) (survived int, err error) {
	all, err := changesOf(ctx, o)
	if err != nil {
		return 0, err
	}
	accepted, err := readAccepted(o.accepted)
	if err != nil {
		return 0, err
	}
	drawn := draw(all, o.sample, o.seed)
	fmt.Fprintf(out, "%d changes of %s, of which %d are tried (seed %d)\n", len(all), o.packages, len(drawn), o.seed)
	var t tally
	for _, m := range drawn {
		if o.list {
			fmt.Fprintln(out, m)
			continue
		}
		result, err := try(ctx, m, o)
		if err != nil {
			return 0, err
		}
		if result == lived && accepted[m.id()] != "" {
			result = pardoned
		}
		t[result]++
		if result == lived || result == pardoned {
			fmt.Fprintf(out, "%s %s\n", result, m)
		}
	}
	if !o.list {
		fmt.Fprintln(out, t)
	}
	return t[lived], nil
}

func changesOf(ctx context.Context, o options) ([]change, error) {
	files, err := regexp.Compile(o.files)
	if err != nil {
		return nil, fmt.Errorf("-files: %w", err)
	}
	var all []change
	for pattern := range strings.SplitSeq(o.packages, ",") {
		found, err := changesOfPackages(ctx, pattern, files)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing to change in %s; see -packages and -files", o.packages)
	}
	return all, nil
}

// draw takes n changes, in an order that depends on the seed alone.
func draw(all []change, n int, seed uint64) []change {
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(all))
	if n <= 0 || n > len(all) {
		n = len(all)
	}
	drawn := make([]change, n)
	for i := range drawn {
		drawn[i] = all[order[i]]
	}
	return drawn
}
