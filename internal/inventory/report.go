package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReportFile is the name of the file that describes a report of S3 Inventory.
const ReportFile = "manifest.json"

// maxReport is more than a report's file has: a data file takes some 100 bytes of it.
const maxReport = 16 << 20

// Report is a report of S3 Inventory.
type Report struct {
	Columns Columns
	// Keys are those of the data files, in the bucket of the report.
	Keys []string
}

// ErrFormat is a report that is not CSV.
var ErrFormat = errors.New("is of Apache Parquet or ORC: let S3 Inventory write CSV, or list the bucket itself")

// errNoReport does not quote the file.
var errNoReport = errors.New("is no manifest.json of S3 Inventory")

// ReadReport reads a report's manifest.json.
func ReadReport(from io.Reader) (Report, error) {
	var form struct {
		Format string `json:"fileFormat"`
		Schema string `json:"fileSchema"`
		Files  []struct {
			Key string `json:"key"`
		} `json:"files"`
	}
	data, err := io.ReadAll(io.LimitReader(from, maxReport))
	if err != nil {
		return Report{}, fmt.Errorf("reading it: %w", err)
	}
	if json.Unmarshal(data, &form) != nil || form.Format == "" {
		return Report{}, errNoReport
	}
	if form.Format != "CSV" {
		return Report{}, ErrFormat
	}
	columns, err := NewColumns(strings.Split(form.Schema, ","))
	if err != nil {
		return Report{}, fmt.Errorf("its fileSchema %w", err)
	}
	r := Report{Columns: columns}
	for _, file := range form.Files {
		if file.Key == "" {
			return Report{}, errNoReport
		}
		r.Keys = append(r.Keys, file.Key)
	}
	return r, nil
}
