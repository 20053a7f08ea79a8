package jobindex

import (
	"reflect"
	"testing"
	"time"
)

func TestWhichSegmentsCount(t *testing.T) {
	entry := func(sequence, from, last uint64) Entry {
		return Entry{Sequence: sequence, Span: Span{From: from, Last: last, Born: born}}
	}
	strange := entry(9, 1, 100)
	strange.Born = born.Add(time.Second)
	for name, c := range map[string]struct {
		have        []Entry
		first, last uint64
		want        []uint64
		gaps        []gap
	}{
		"none":                           {first: 1, last: 9, gaps: []gap{{1, 9, true}}},
		"no events":                      {first: 10, last: 9},
		"all":                            {have: []Entry{entry(1, 1, 5), entry(2, 6, 9)}, first: 1, last: 9, want: []uint64{1, 2}},
		"a tail":                         {have: []Entry{entry(1, 1, 5)}, first: 1, last: 9, want: []uint64{1}, gaps: []gap{{6, 9, true}}},
		"one was lost":                   {have: []Entry{entry(1, 1, 3), entry(3, 7, 9)}, first: 1, last: 9, want: []uint64{1, 3}, gaps: []gap{{4, 6, false}}},
		"the first was lost":             {have: []Entry{entry(2, 4, 9)}, first: 1, last: 9, want: []uint64{2}, gaps: []gap{{1, 3, false}}},
		"filled later":                   {have: []Entry{entry(1, 1, 3), entry(3, 7, 9), entry(4, 4, 6)}, first: 1, last: 9, want: []uint64{1, 4, 3}},
		"events were removed":            {have: []Entry{entry(1, 1, 5), entry(2, 6, 9)}, first: 6, last: 9, want: []uint64{2}},
		"events were removed in one":     {have: []Entry{entry(1, 1, 5), entry(2, 6, 9)}, first: 8, last: 9, want: []uint64{2}},
		"of another stream":              {have: []Entry{strange}, first: 1, last: 100, gaps: []gap{{1, 100, true}}},
		"of events that were lost":       {have: []Entry{entry(1, 1, 5), entry(2, 6, 9)}, first: 1, last: 8, want: []uint64{1}, gaps: []gap{{6, 8, true}}},
		"replaced":                       {have: []Entry{entry(1, 1, 5), entry(2, 4, 9)}, first: 1, last: 9, want: []uint64{2}, gaps: []gap{{1, 3, false}}},
		"replaced within":                {have: []Entry{entry(1, 1, 9), entry(2, 4, 5)}, first: 1, last: 9, want: []uint64{2}, gaps: []gap{{1, 3, false}, {6, 9, true}}},
		"replaced by one that is larger": {have: []Entry{entry(1, 4, 5), entry(2, 1, 9)}, first: 1, last: 9, want: []uint64{2}},
		"upside down":                    {have: []Entry{entry(1, 9, 1)}, first: 1, last: 9, gaps: []gap{{1, 9, true}}},
	} {
		b := Bounds{Born: born, First: c.first, Last: c.last}
		kept := current(c.have, b)
		var got []uint64
		for _, e := range kept {
			got = append(got, e.Sequence)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: segments %v, want %v", name, got, c.want)
		}
		if left := gaps(kept, b); !reflect.DeepEqual(left, c.gaps) {
			t.Errorf("%s: gaps %+v, want %+v", name, left, c.gaps)
		}
	}
}
