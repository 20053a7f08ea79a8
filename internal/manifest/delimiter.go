package manifest

import (
	"bytes"
	"strings"
)

// delimiters are what may stand between the fields of a CSV manifest, the likeliest first.
const delimiters = ",;\t|"

// delimiterOf finds the delimiter in the first record of a manifest: the one that stands
// there most often outside quotes. A record without any has one field.
func delimiterOf(record []byte) byte {
	var count [256]int
	quoted := false
	for _, c := range record {
		if c == '"' {
			quoted = !quoted
		}
		if !quoted {
			count[c]++
		}
	}
	best := delimiters[0]
	for _, c := range []byte(delimiters) {
		if count[c] > count[best] {
			best = c
		}
	}
	return best
}

// stated reads a line "sep=;", which spreadsheets write above a table. 0 says that the line
// is none.
func stated(line []byte) byte {
	rest, ok := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("sep="))
	if !ok || len(rest) != 1 || !strings.ContainsRune(delimiters, rune(rest[0])) {
		return 0
	}
	return rest[0]
}
