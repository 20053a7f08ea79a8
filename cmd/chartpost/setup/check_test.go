package setup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestSilent: a check that ran out of time says so, and not that it was interrupted.
func TestSilent(t *testing.T) {
	interrupted := errors.New("interrupted")
	if err := silent(t.Context(), interrupted); err != interrupted {
		t.Errorf("within the time: %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if err := silent(late, interrupted); !strings.HasPrefix(err.Error(), "S3 did not answer within ") {
		t.Errorf("after the time: %v", err)
	}
}
