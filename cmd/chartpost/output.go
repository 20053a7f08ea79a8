package main

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// jsonLines writes JSON, one value a line.
func jsonLines(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder
}

// when is a time for people, with its zone.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// correlationText is "a=1 b=2".
func correlationText(c map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, key+"="+c[key])
	}
	return strings.Join(parts, " ")
}
