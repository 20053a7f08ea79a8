package backfill

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

// The labels of a run's jobs, which every event of them has.
const (
	LabelRun  = schemas.LabelRun
	LabelLine = schemas.LabelLine
)

// mostLabels is how many labels a job can have (job.v1).
const mostLabels = 16

// mostDigits is the length of the longest line number.
const mostDigits = 19

// room refuses a job that has no room for the labels of a run.
func room(job schemas.Job, size int) []manifest.Fault {
	labels := len(LabelRun) + MaxRunID + len(LabelLine) + mostDigits
	sum := labels
	for name, value := range job.Correlation {
		if name == LabelRun || name == LabelLine {
			return []manifest.Fault{{Code: "label_reserved", Path: "/correlation/" + name, Text: "is a label of runs: the run sets it"}}
		}
		sum += len(name) + len(value)
	}
	switch {
	case sum > schemas.MaxCorrelation || len(job.Correlation)+2 > mostLabels:
		return []manifest.Fault{{Code: "no_room", Path: "/correlation",
			Text: "leaves no room for the run's two labels: " + strconv.Itoa(labels) + " bytes of " + strconv.Itoa(schemas.MaxCorrelation)}}
	case size+labels+len(`,"correlation":{"":"","":""}`) > schemas.MaxJobSize:
		return []manifest.Fault{{Code: "no_room", Text: "the job is too large beside the run's two labels"}}
	}
	return nil
}

// label gives a job's bytes with the labels of the run. They are the same
// whenever they are made.
func label(data []byte, job schemas.Job, run string, line int64) ([]byte, error) {
	labels := `"` + LabelRun + `":"` + run + `","` + LabelLine + `":"` + strconv.FormatInt(line, 10) + `"`
	if len(job.Correlation) > 0 || bytes.Contains(data, []byte(`orrelation"`)) {
		return relabel(data, labels)
	}
	end := bytes.LastIndexByte(data, '}')
	out := make([]byte, 0, end+len(labels)+len(`,"correlation":{}}`))
	out = append(out, data[:end]...)
	out = append(out, `,"correlation":{`...)
	out = append(out, labels...)
	return append(out, `}}`...), nil
}

// relabel puts the labels into a correlation that is there.
func relabel(data []byte, labels string) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	last := dec.InputOffset()
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		correlation := name.String() == "correlation"
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		last = dec.InputOffset()
		if correlation {
			return splice(data, int(last)-len(value), int(last), labels)
		}
	}
	return append(append(append(append([]byte{}, data[:last]...), `,"correlation":{`...), labels...), `}}`...), nil
}

// splice adds the labels to the object, or null, between two offsets.
func splice(data []byte, from, to int, labels string) ([]byte, error) {
	var before map[string]string
	if err := json.Unmarshal(data[from:to], &before); err != nil {
		return nil, err
	}
	out := append([]byte{}, data[:from]...)
	if len(before) == 0 {
		out = append(append(append(out, '{'), labels...), '}')
	} else {
		end := from + bytes.LastIndexByte(data[from:to], '}')
		out = append(append(append(append(out, data[from:end]...), ','), labels...), '}')
	}
	return append(out, data[to:]...), nil
}

// lineOf reads the line of an event that is of the run.
func lineOf(event *schemas.Event, run string) (int64, bool) {
	if event == nil {
		return 0, false
	}
	named, line, ok := LineOf(event.Data.Correlation)
	return line, ok && named == run
}

// LineOf reads the line of a run that a correlation names.
func LineOf(correlation map[string]string) (run string, line int64, ok bool) {
	line, err := strconv.ParseInt(correlation[LabelLine], 10, 64)
	if err != nil || line < 1 || CheckRunID(correlation[LabelRun]) != nil {
		return "", 0, false
	}
	return correlation[LabelRun], line, true
}
