package budget

import (
	"errors"
	"strconv"
	"strings"
)

// counts are numbers by slot. As text they stand between blanks, and equal ones
// that follow each other once, with how many they are: "25 24x3 0x290".
type counts []int

// mostCounts is more slots than a record ever has.
const mostCounts = 4 * slots

var errCounts = errors.New("the counts of the request budget cannot be read")

// MarshalText implements encoding.TextMarshaler.
func (c counts) MarshalText() ([]byte, error) {
	out := make([]byte, 0, 4*len(c))
	for i := 0; i < len(c); {
		same := 1
		for i+same < len(c) && c[i+same] == c[i] {
			same++
		}
		if i > 0 {
			out = append(out, ' ')
		}
		out = strconv.AppendInt(out, int64(c[i]), 10)
		if same > 1 {
			out = append(out, 'x')
			out = strconv.AppendInt(out, int64(same), 10)
		}
		i += same
	}
	return out, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *counts) UnmarshalText(text []byte) error {
	out := make(counts, 0, slots+16)
	for word := range strings.FieldsSeq(string(text)) {
		number, times, repeated := strings.Cut(word, "x")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > mostBelieved {
			return errCounts
		}
		same := 1
		if repeated {
			if same, err = strconv.Atoi(times); err != nil || same < 1 || same > mostCounts {
				return errCounts
			}
		}
		if len(out)+same > mostCounts {
			return errCounts
		}
		for range same {
			out = append(out, n)
		}
	}
	*c = out
	return nil
}

func (c counts) sum() int {
	n := 0
	for _, one := range c {
		n += one
	}
	return n
}
