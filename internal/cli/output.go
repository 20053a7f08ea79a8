package cli

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// JSONLines writes JSON, one value a line.
func JSONLines(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder
}

// When is a time for people, with its zone.
func When(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// CorrelationText is "a=1 b=2".
func CorrelationText(c map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, key+"="+c[key])
	}
	return strings.Join(parts, " ")
}
