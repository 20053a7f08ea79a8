package compose

import (
	"errors"
	"strings"
	"testing"
)

// TestAMessageOfManyValues is read up to the bound, the array itself included,
// and not beyond.
func TestAMessageOfManyValues(t *testing.T) {
	array := func(values int) []byte { return []byte("[" + strings.Repeat("1,", values-2) + "1]") }
	if _, err := parse(array(maxValues)); err != nil {
		t.Error(err)
	}
	if _, err := parse(array(maxValues + 1)); !errors.Is(err, errValues) {
		t.Errorf("one more: %v", err)
	}
}
