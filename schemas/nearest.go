package schemas

import (
	"slices"
	"strings"
)

// nearest gives the known name that the caller most likely meant: the same
// letters apart from case, '_' and '-', or at most two edits away. It gives
// only names of the schema, and "" when none is near.
func nearest(name string, known []string) string {
	// The longest field name has 19 characters; a longer key is no misspelling.
	if len(name) > 32 {
		return ""
	}
	best, least := "", 3
	for _, k := range slices.Sorted(slices.Values(known)) {
		if squash(k) == squash(name) {
			return k
		}
		// Two edits turn any two-letter word into any other.
		if d := distance(name, k); d < least && d*2 < len(k) {
			best, least = k, d
		}
	}
	return best
}

func squash(s string) string {
	return strings.ToLower(unjoined.Replace(s))
}

var unjoined = strings.NewReplacer("_", "", "-", "")

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
