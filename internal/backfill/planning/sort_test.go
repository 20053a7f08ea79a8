package planning

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"testing"
)

// TestRepeats finds every repeat, held in memory or spilled in many runs, and
// no other line.
func TestRepeats(t *testing.T) {
	for _, most := range []int{1, 2, 7, 100, 5000} {
		dir := t.TempDir()
		s := newSorter(dir, most)
		random := rand.New(rand.NewPCG(3, uint64(most)))
		want, first := map[int64]int64{}, map[string]int64{}
		for line := int64(2); line < 1500; line++ {
			id := fmt.Sprint("id-", random.IntN(3000))
			if before, there := first[id]; there {
				want[line] = before
			} else {
				first[id] = line
			}
			if err := s.add(markOf([]byte("salt"), id, line)); err != nil {
				t.Fatal(err)
			}
		}
		got := map[int64]int64{}
		if err := s.repeats(func(line, first int64) { got[line] = first }); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, want) || len(want) < 100 {
			t.Errorf("%d held: %d repeats, want %d", most, len(got), len(want))
		}
		s.close()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	}
}

func TestMarks(t *testing.T) {
	a, b := markOf([]byte("s"), "a", 7), markOf([]byte("t"), "a", 7)
	if a.line() != 7 || bytes.Equal(a[:16], b[:16]) || a != markOf([]byte("s"), "a", 7) {
		t.Error("a mark is of salt, id and line")
	}
}

func TestNoRoomForMarks(t *testing.T) {
	s := newSorter(t.TempDir()+"/nowhere", 1)
	if err := s.add(mark{}); err == nil {
		t.Error("no error")
	}
}
