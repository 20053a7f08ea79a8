package main

import (
	"strings"
	"testing"

	"github.com/chartpost/chartpost/schemas"
)

func TestExplainCountsWhatItLeavesOut(t *testing.T) {
	_, err := schemas.DecodeJob([]byte(`{` + strings.Repeat(`"a": {}, `, 60) + `"b": 1}`))
	if err == nil {
		t.Fatal("no fault")
	}
	lines := strings.Count(explain(err, false).Error(), "\n")
	if lines > schemas.MaxProblems+1 {
		t.Errorf("%d lines", lines)
	}
}
