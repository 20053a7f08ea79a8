package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
)

// options are the flags.
type options struct {
	runs      int
	only      string
	loads     string
	factor    float64
	pipes     string
	chartpost string
	synced    bool
	replicas  int
	json      string
	doc       string
	profile   string
	soak      time.Duration
	settle    time.Duration
	parts     []string
}

func main() {
	devstack.ServeIfAsked(receiverRole())
	var o options
	flag.IntVar(&o.runs, "runs", 5, "how often each row is measured")
	flag.StringVar(&o.only, "rows", "", "rows to measure, separated by commas; a name that ends in * stands for all that begin so; empty is all")
	flag.StringVar(&o.loads, "loads", "", "loads of scale to measure, by the beginnings of their names, separated by semicolons; empty is all")
	flag.Float64Var(&o.factor, "jobs", 1, "measure this part of each row's jobs")
	flag.StringVar(&o.pipes, "pipes", "both,sha256,none", "bare pipes to measure beside the worker, by what they hash: both (SHA-256 and SHA-1, as the worker does), sha256, none; empty is none at all")
	flag.StringVar(&o.chartpost, "chartpost", "", "chartpost program to measure; empty builds this checkout's")
	flag.BoolVar(&o.synced, "synced", false, "let nats-server sync every message before it confirms it, as deploy/nats does, in every row and part")
	flag.IntVar(&o.replicas, "replicas", 1, "nats-servers of every queue, each with all messages: 1 or 3")
	flag.StringVar(&o.json, "json", "", "file to write every figure to")
	flag.StringVar(&o.doc, "doc", "", "page to put the tables into, between its lines "+docBegins+" and "+docEnds)
	flag.StringVar(&o.profile, "profile", "", "folder for the worker's profiles of each row: <row>.cpu and <row>.allocs; taking them slows the worker")
	flag.DurationVar(&o.soak, "soak", time.Hour, "how long the part of that name delivers")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "bench [flags] [rows] [latency] [startup] [scale] [size] [flood] [idle] [intake] [soak]: measures the named parts, or all but soak. docs/performance.md has more.")
		flag.PrintDefaults()
	}
	flag.Parse()
	o.parts, o.settle = flag.Args(), soakIdle
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// part is one thing that can be asked for.
type part struct {
	name    string
	measure func(context.Context, *stage, options, *report) error
}

// The last one is measured only when it is named.
var parts = []part{
	{"rows", measureRows}, {"latency", measureLatency}, {"startup", measureStartup}, {"scale", measureScale}, {"size", measureSize},
	{"flood", measureFlood}, {"idle", measureIdle}, {"intake", measureIntake}, {"soak", measureSoak},
}

// run measures what was asked for, all of it when nothing was.
func run(ctx context.Context, o options) (err error) {
	chosen, err := choose(o.parts)
	if err != nil {
		return err
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o700); err != nil {
			return err
		}
	}
	progress("building")
	s, err := newStage(ctx, o.chartpost, o.synced, o.replicas)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	about, err := describe(ctx, o.synced, o.replicas)
	if err != nil {
		return err
	}
	r := &report{About: about}
	for _, one := range chosen {
		if err := one.measure(ctx, s, o, r); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	r.print(os.Stdout)
	return r.keep(o)
}

// keep writes the report where the flags want it.
func (r *report) keep(o options) error {
	if o.json != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o600); err != nil {
			return err
		}
	}
	if o.doc == "" {
		return nil
	}
	page, err := os.ReadFile(o.doc)
	if err != nil {
		return err
	}
	var tables strings.Builder
	r.print(&tables)
	filled, err := fill(string(page), tables.String())
	if err != nil {
		return fmt.Errorf("%s: %w", o.doc, err)
	}
	return os.WriteFile(o.doc, []byte(filled), 0o644)
}

// The lines of a page between which the tables are.
const (
	docBegins = "<!-- figures -->"
	docEnds   = "<!-- end of figures -->"
)

// fill gives a page with other tables.
func fill(page, tables string) (string, error) {
	before, rest, begins := strings.Cut(page, docBegins+"\n")
	_, after, ends := strings.Cut(rest, docEnds)
	if !begins || !ends {
		return "", errors.New("it has no place for figures")
	}
	return before + docBegins + "\n\n```text\n" + tables + "```\n\n" + docEnds + after, nil
}

func choose(names []string) ([]part, error) {
	if len(names) == 0 {
		return parts[:len(parts)-1], nil
	}
	var chosen []part
	for _, name := range names {
		found := false
		for _, one := range parts {
			if one.name == name {
				chosen, found = append(chosen, one), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no part %q", name)
		}
	}
	return chosen, nil
}

// progress is for whoever waits.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+strings.TrimSuffix(format, "\n")+"\n", args...)
}
