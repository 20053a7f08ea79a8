package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// function is a row of the table of functions. An empty value passes through
// all but default and map, so that omitempty may stand at the end.
type function struct {
	usage string
	// least and most literals come before the value; most -1 is no bound.
	least, most int
	// values tells that all arguments are values, one or more.
	values   bool
	kind     kind
	optional optional
	make     func(literals []string) (step, error)
}

// functions are all there are. The template's schema and docs/backfill.md
// list them; a test holds the page to this table.
var functions = map[string]function{
	"col":        {usage: `{{ col "a name" }}`},
	"default":    {usage: `{{ .column | default "text" }}`, least: 1, most: 1, make: makeDefault},
	"lower":      {usage: `{{ .column | lower }}`, make: plainly(strings.ToLower)},
	"upper":      {usage: `{{ .column | upper }}`, make: plainly(strings.ToUpper)},
	"trim":       {usage: `{{ .column | trim }}`, make: plainly(strings.TrimSpace)},
	"base":       {usage: `{{ .key | base }}`, make: plainly(path.Base)},
	"part":       {usage: `{{ .key | part "/" "2" }}`, least: 2, most: 2, make: makePart},
	"sha256":     {usage: `{{ .column | sha256 }}`, make: plainly(func(s string) string { return digest(s) })},
	"id":         {usage: `{{ id .column .column }}`, values: true, make: plainly(func(s string) string { return digest(s)[:32] })},
	"map":        {usage: `{{ .column | map "M" "male" "F" "female" "*" "other" }}`, least: 2, most: -1, make: makeMap},
	"date":       {usage: `{{ .column | date "20060102" "2006-01-02" "Europe/Berlin" }}, the zone being optional`, least: 2, most: 3, make: makeDate},
	"number":     {usage: `{{ .column | number }}`, kind: asNumber, make: makeNumber},
	"bool":       {usage: `{{ .column | bool }}`, kind: asBoolean, make: makeBool},
	"omitempty":  {usage: `{{ .column | omitempty }}`, optional: alone, make: func([]string) (step, error) { return nil, nil }},
	"omitparent": {usage: `{{ .column | omitparent }}`, optional: withParent, make: func([]string) (step, error) { return nil, nil }},
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// plainly is a function of the value alone that cannot fail.
func plainly(f func(string) string) func([]string) (step, error) {
	return func([]string) (step, error) {
		return func(value string, _ []string) (string, *Fault) {
			if value == "" {
				return "", nil
			}
			return f(value), nil
		}, nil
	}
}

// makePart cuts a value at every separator and takes one part: "1" is the first, "-1" the
// last. A part that is not there is empty.
func makePart(literals []string) (step, error) {
	at, err := strconv.Atoi(literals[1])
	if literals[0] == "" || err != nil || at == 0 {
		return nil, errors.New(`takes a separator and the number of a part, like part "/" "2"; "-1" is the last part`)
	}
	return func(value string, _ []string) (string, *Fault) {
		parts := strings.Split(value, literals[0])
		i := at - 1
		if at < 0 {
			i = len(parts) + at
		}
		if i < 0 || i >= len(parts) {
			return "", nil
		}
		return parts[i], nil
	}, nil
}

func makeDefault(literals []string) (step, error) {
	return func(value string, _ []string) (string, *Fault) {
		if value == "" {
			return literals[0], nil
		}
		return value, nil
	}, nil
}

// makeMap looks a value up. "*" is for all others; without it they are faults.
func makeMap(literals []string) (step, error) {
	if len(literals)%2 != 0 {
		return nil, errors.New("each value needs what it is mapped to")
	}
	table := map[string]string{}
	for i := 0; i < len(literals); i += 2 {
		if _, twice := table[literals[i]]; twice {
			return nil, fmt.Errorf("%q is mapped twice", literals[i])
		}
		table[literals[i]] = literals[i+1]
	}
	return func(value string, _ []string) (string, *Fault) {
		if to, ok := table[value]; ok {
			return to, nil
		}
		if value == "" {
			return "", nil
		}
		if to, ok := table["*"]; ok {
			return to, nil
		}
		return "", &Fault{Code: "not_mapped", Text: `the value is none that map names, and map has no "*" for others`}
	}, nil
}

// makeDate rewrites a date or time from one layout of Go's into another.
func makeDate(literals []string) (step, error) {
	from, to, zone := literals[0], literals[1], time.UTC
	if len(literals) == 3 {
		var err error
		if zone, err = time.LoadLocation(literals[2]); err != nil || literals[2] == "Local" {
			return nil, errors.New("the zone is not known; one looks like Europe/Berlin")
		}
	}
	probe := time.Date(2017, 11, 24, 21, 43, 58, 0, time.UTC)
	for _, layout := range []string{from, to} {
		if probe.Format(layout) == layout {
			return nil, errors.New(`the layouts write 2 January 2006, 15:04:05, as the dates are written: "20060102", "2006-01-02"`)
		}
	}
	fault := Fault{Code: "not_a_date", Text: fmt.Sprintf("is not a date of the form %s", from)}
	return func(value string, _ []string) (string, *Fault) {
		if value == "" {
			return "", nil
		}
		t, err := time.ParseInLocation(from, value, zone)
		if err != nil {
			f := fault
			return "", &f
		}
		return t.Format(to), nil
	}, nil
}

// makeNumber wants a number as JSON writes it, and keeps its digits.
func makeNumber([]string) (step, error) {
	return func(value string, _ []string) (string, *Fault) {
		if v := jsontext.Value(value); value != "" && (v.Kind() != '0' || !v.IsValid() || strings.TrimSpace(value) != value) {
			return "", &Fault{Code: "not_a_number", Text: "is not a number as JSON writes it, such as 12, -3 or 4.50"}
		}
		return value, nil
	}, nil
}

func makeBool([]string) (step, error) {
	return func(value string, _ []string) (string, *Fault) {
		switch strings.ToLower(value) {
		case "":
			return "", nil
		case "true", "1", "y", "yes":
			return "true", nil
		case "false", "0", "n", "no":
			return "false", nil
		}
		return "", &Fault{Code: "not_a_boolean", Text: "is none of true, false, yes, no, y, n, 1 and 0"}
	}, nil
}
