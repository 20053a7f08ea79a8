// Command check runs the alert rules of a file over scrapes, by Prometheus' own
// engine and storage, and says which fired. It is a module of its own, so that
// Prometheus is no dependency of Chartpost: the tests of internal/app build it
// and feed it what a worker really answered.
//
// It reads an Input as JSON from standard input and writes an Output. With a
// queries list it only says which series the queries name.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Input is what is to be tried.
type Input struct {
	// Rules is the path of the file of rules.
	Rules string `json:"rules"`
	// Scrapes come in the order of their times. Each stands for all that follow
	// until the next one, every step.
	Scrapes []Scrape `json:"scrapes"`
	// Until is how long after the first scrape the trial ends.
	Until time.Duration `json:"until"`
	// Queries are expressions whose selectors are wanted.
	Queries []string `json:"queries"`
}

// Scrape is an answer of /metrics.
type Scrape struct {
	At time.Time `json:"at"`
	// Text is empty where the target did not answer.
	Text string `json:"text"`
}

// Output is what came of it.
type Output struct {
	// Fired are the alerts that fired at some time.
	Fired []Alert `json:"fired"`
	// Selectors are those of all rules, or of the queries.
	Selectors []Selector `json:"selectors"`
}

// Alert is one that fired.
type Alert struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Selector is a metric and the labels that an expression names beside it: in
// matchers, and in what it groups by.
type Selector struct {
	Expression string   `json:"expression"`
	Metric     string   `json:"metric"`
	Labels     []string `json:"labels"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run() error {
	var in Input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	var out Output
	var err error
	if len(in.Queries) > 0 {
		out.Selectors, err = selectors(in.Queries)
	} else {
		out, err = try(in)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}
