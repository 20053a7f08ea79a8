package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// Run is what jobs have of the run they belong to.
type Run struct {
	// StartedAt is the requested_at of jobs that have none of their own. It is
	// kept with a run: the same line then makes the same job on every day.
	StartedAt time.Time
	// ExpiresAfter is from StartedAt to the expires_at of jobs that have none
	// of their own.
	ExpiresAfter time.Duration
	// SizeColumn, where it is not empty, names the column with the size of the
	// job's files, in bytes.
	SizeColumn string
	// Check holds a job to what its worker will hold it to beside the schema;
	// its errors are *fault.Fault. nil is no check.
	Check func(schemas.Job) error
}

// Recipe makes jobs of the lines of one manifest. It is safe for concurrent
// use; each goroutine takes a Maker.
type Recipe struct {
	format    Format
	delimiter byte
	columns   []string
	// used are the columns that the template names.
	used     map[string]bool
	root     *node
	size     operand
	defaults []field
	run      Run
}

// NewRecipe compiles a template against the columns of a manifest. A nil
// template takes each line of an NDJSON manifest as a job. All faults are in
// the error: a column that the manifest does not have, a function used wrongly.
func NewRecipe(t *Template, r *Reader, run Run) (*Recipe, error) {
	recipe := &Recipe{format: r.format, delimiter: r.delimiter, columns: r.Columns(), run: run}
	for _, d := range []struct {
		name string
		at   time.Time
	}{{"requested_at", run.StartedAt}, {"expires_at", run.StartedAt.Add(run.ExpiresAfter)}} {
		recipe.defaults = append(recipe.defaults, field{name: d.name, key: fmt.Appendf(nil, "%q:", d.name),
			value: &node{static: d.at.UTC().Truncate(time.Second).AppendFormat([]byte(`"`), time.RFC3339+`"`)}})
	}
	if t == nil {
		if run.SizeColumn != "" {
			return nil, errors.New("a column of sizes goes with a template")
		}
		if r.format != NDJSON {
			return nil, errors.New("a CSV manifest needs a template: it maps the columns to the fields of a job")
		}
		return recipe, nil
	}
	if len(recipe.columns) == 0 {
		return nil, ErrFirst
	}
	b := &binder{columns: map[string]int{}, twice: map[string]bool{}, used: map[string]bool{}}
	for i, name := range recipe.columns {
		if _, twice := b.columns[name]; twice {
			b.twice[name] = true
			continue
		}
		b.columns[name] = i
	}
	if run.SizeColumn != "" {
		recipe.size = b.column(run.SizeColumn)
	}
	recipe.root, recipe.used = t.root.bind(b), b.used
	return recipe, errors.Join(b.faults...)
}

// Line is what became of a record.
type Line struct {
	// Number and Next are the record's.
	Number int64
	Next   Position
	// Job is the job as schemas.DecodeJob reads it from Data.
	Job schemas.Job
	// Data are the bytes to publish. They are valid until the Maker's next call.
	Data []byte
	// Size is the sum of the files in bytes as the manifest has it; -1 where it
	// does not say.
	Size int64
	// Faults are what keeps the line from being a job; without one, Job and Data
	// are whole.
	Faults []Fault
}

// Lane is where the job goes.
func (l Line) Lane() schemas.Lane {
	return schemas.Lane{Class: schemas.Backfill, Destination: l.Job.Destination.Address()}
}

// Maker makes jobs for one goroutine.
type Maker struct {
	recipe *Recipe
	row    *row
	render renderer
}

// Maker gives a maker of its own to a goroutine.
func (r *Recipe) Maker() *Maker {
	row := newRow(r.columns, r.delimiter)
	// A column that nobody asks for may hold what it likes.
	maps.DeleteFunc(row.columns, func(name string, _ int) bool { return !r.used[name] })
	return &Maker{recipe: r, row: row, render: renderer{defaults: r.defaults}}
}

// Make makes the job of a record. It holds every line to schemas.DecodeJob, as
// the worker does.
func (m *Maker) Make(record Record) Line {
	line := Line{Number: record.Number, Next: record.Next, Size: -1}
	if m.recipe.root == nil {
		line.Data, line.Faults = m.complete(record)
	} else {
		line.Data, line.Faults = m.fill(record)
	}
	if len(line.Faults) > 0 {
		return line
	}
	if line.Size, line.Faults = m.size(); len(line.Faults) > 0 {
		return line
	}
	job, err := schemas.DecodeJob(line.Data)
	if err == nil {
		line.Job = job
		if m.recipe.run.Check != nil {
			err = m.recipe.run.Check(job)
		}
	}
	if err != nil {
		line.Faults = m.explain(err)
	}
	return line
}

// fill renders the template.
func (m *Maker) fill(record Record) ([]byte, []Fault) {
	if f := m.row.read(m.recipe.format, record); f != nil {
		return nil, []Fault{*f}
	}
	data := m.render.job(m.recipe.root, m.row.values)
	return data, m.render.faults
}

// size reads the column of the size; an empty one says nothing.
func (m *Maker) size() (int64, []Fault) {
	if m.recipe.size == nil {
		return -1, nil
	}
	value := m.recipe.size(m.row.values)
	if value == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return -1, []Fault{{Code: "not_a_size", Column: m.recipe.run.SizeColumn, Text: "is not a whole number of bytes"}}
	}
	return n, nil
}

// complete adds what a job of its own lacks of the run.
func (m *Maker) complete(record Record) ([]byte, []Fault) {
	if record.fault != nil {
		return nil, []Fault{*record.fault}
	}
	data := bytes.TrimRight(record.raw, " \t\r")
	m.render.out = append(m.render.out[:0], data...)
	if !bytes.HasSuffix(data, []byte("}")) {
		return m.render.out, nil // DecodeJob says what it is
	}
	there := map[string]bool{}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return m.render.out, nil
	}
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return m.render.out, nil
		}
		there[tok.String()] = true
		if dec.SkipValue() != nil {
			return m.render.out, nil
		}
	}
	for _, d := range m.recipe.defaults {
		if there[d.name] || len(there) == 0 {
			continue
		}
		m.render.out = append(m.render.out[:len(m.render.out)-1], ',')
		m.render.out = append(append(append(m.render.out, d.key...), d.value.static...), '}')
	}
	return m.render.out, nil
}

// explain puts what a job is refused for into faults, with the columns.
func (m *Maker) explain(err error) []Fault {
	var faults []Fault
	if invalid, ok := errors.AsType[*schemas.Invalid](err); ok {
		for _, p := range invalid.Problems {
			faults = append(faults, Fault{Code: p.Code, Path: p.Path, Text: p.Text})
		}
	} else {
		f := fault.Of(err)
		faults = append(faults, Fault{Code: f.Code, Path: f.Path, Text: f.Text})
	}
	if m.recipe.root == nil {
		return faults
	}
	// The line is rendered again to learn which column went where: that is
	// worth its time on a faulty line alone.
	again := renderer{defaults: m.recipe.defaults, columns: map[string]string{}}
	again.job(m.recipe.root, m.row.values)
	for i := range faults {
		faults[i].Column = again.columns[faults[i].Path]
	}
	return faults
}
