package cli

import (
	"errors"
	"fmt"
	"testing"
)

// TestFurther: of a flag whose value was refused nothing more is told; all else is, one by one.
func TestFurther(t *testing.T) {
	told := []error{nil, errors.New("--for: must be a length of time")}
	wrapped := fmt.Errorf("--both: %w and %w", errors.New("a"), errors.New("b"))
	more := further(told, errors.Join(errors.New("--for: give either"), errors.Join(errors.New("--force is not"), wrapped)))
	if got, want := fmt.Sprint(more), "[--force is not --both: a and b]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if further(told, nil) != nil {
		t.Error("no fault has no further ones")
	}
}

func TestAlternatives(t *testing.T) {
	for want, words := range map[string][]string{"a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := Alternatives(words); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
