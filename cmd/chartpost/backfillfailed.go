package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/manifest"
)

var errNoReport = errors.New("is no report: it has no columns line, job_id and outcome")

// readFailed reads the lines that failed out of a report.
func readFailed(name string) (*backfill.Only, *backfill.Source, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	reader, err := manifest.NewReader(file, manifest.Options{})
	if err != nil {
		return nil, nil, errNoReport
	}
	at := map[string]int{}
	for i, column := range reader.Columns() {
		at[column] = i
	}
	if reader.Format() == manifest.NDJSON {
		return readFailedJSON(name)
	}
	for _, need := range []string{"line", "job_id", "outcome"} {
		if _, ok := at[need]; !ok {
			return nil, nil, errNoReport
		}
	}
	only := backfill.NewOnly()
	for row, err := range manifest.Rows(reader) {
		if err != nil {
			return nil, nil, err
		}
		if row.Fault != nil {
			return nil, nil, fmt.Errorf("line %d: %w", row.Number, row.Fault)
		}
		line, err := strconv.ParseInt(row.Values[at["line"]], 10, 64)
		if err != nil || line < 1 {
			return nil, nil, fmt.Errorf("line %d: has no number of a line", row.Number)
		}
		if row.Values[at["outcome"]] == string(backfill.OutcomeFailed) {
			only.Add(line, row.Values[at["job_id"]])
		}
	}
	return digested(file, only)
}

func readFailedJSON(name string) (*backfill.Only, *backfill.Source, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	only, decoder := backfill.NewOnly(), json.NewDecoder(bufio.NewReader(file))
	for decoder.More() {
		var row backfill.Row
		if err := decoder.Decode(&row); err != nil || row.Line < 1 || row.Outcome == "" {
			return nil, nil, errNoReport
		}
		if row.Outcome == backfill.OutcomeFailed {
			only.Add(row.Line, row.JobID)
		}
	}
	return digested(file, only)
}

func digested(file *os.File, only *backfill.Only) (*backfill.Only, *backfill.Source, error) {
	if only.Len() == 0 {
		return nil, nil, errors.New("has no line that failed")
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	return only, &backfill.Source{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size}, err
}
