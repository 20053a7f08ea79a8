package job

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

// The author's own terminal shows an offending key; a pipe or a log never does.
func TestOffendingKeyIsForTheAuthorAlone(t *testing.T) {
	_, err := schemas.DecodeJob([]byte(`{"Zebedee": 1}`))
	if err == nil {
		t.Fatal("no fault")
	}
	if shown := explain(err, true).Error(); !strings.Contains(shown, `(the key is "Zebedee")`) {
		t.Errorf("a terminal sees %s", shown)
	}
	if shown := explain(err, false).Error(); strings.Contains(shown, "Zebedee") {
		t.Errorf("a pipe sees %s", shown)
	}
}
