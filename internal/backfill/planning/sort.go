package planning

import (
	"bufio"
	"bytes"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// mark is what is kept of a line's job id: 16 bytes of a salted SHA-256, and the
// number of the line, so that marks sort by id and then by line. Of ten million
// ids, two that differ share a mark with a probability below 10^-24: that is
// no alarm to confirm, and ids need not be kept.
type mark [24]byte

func markOf(salt []byte, id string, line int64) (m mark) {
	sum := sha256.Sum256(append(slices.Clip(salt), id...))
	copy(m[:16], sum[:])
	binary.BigEndian.PutUint64(m[16:], uint64(line))
	return m
}

func (m *mark) line() int64 { return int64(binary.BigEndian.Uint64(m[16:])) }

// marksHeld are the marks in memory: 6 MB.
const marksHeld = 1 << 18

// sorter sorts marks in flat memory: whenever it is full it writes a sorted run
// to a file.
type sorter struct {
	dir  string
	held []mark
	most int
	file *os.File
	// runs are the ends of the runs in the file, in marks.
	runs []int64
}

func newSorter(dir string, most int) *sorter { return &sorter{dir: dir, most: most} }

func (s *sorter) add(m mark) error {
	s.held = append(s.held, m)
	if len(s.held) < s.most {
		return nil
	}
	return s.spill()
}

func (s *sorter) sort() {
	slices.SortFunc(s.held, func(a, b mark) int { return bytes.Compare(a[:], b[:]) })
}

// spill writes what is held as one run. The file holds salted hashes, and is
// gone with the process where the system lets a file without a name live on.
func (s *sorter) spill() error {
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "chartpost-ids-*")
		if err != nil {
			return fmt.Errorf("a temporary file for the job ids: %w", err)
		}
		s.file = file
		_ = os.Remove(file.Name())
	}
	s.sort()
	w := bufio.NewWriterSize(s.file, 256<<10)
	for i := range s.held {
		if _, err := w.Write(s.held[i][:]); err != nil {
			return fmt.Errorf("writing the temporary file of the job ids: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the temporary file of the job ids: %w", err)
	}
	var before int64
	if len(s.runs) > 0 {
		before = s.runs[len(s.runs)-1]
	}
	s.runs = append(s.runs, before+int64(len(s.held)))
	s.held = s.held[:0]
	return nil
}

func (s *sorter) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}

// repeats gives each line whose id an earlier line has, and that line: the
// first of them.
func (s *sorter) repeats(yield func(line, first int64)) error {
	s.sort()
	merged, err := s.merge()
	if err != nil {
		return err
	}
	var first mark
	for begun := false; ; begun = true {
		m, ok, err := merged.next()
		if !ok || err != nil {
			return err
		}
		if begun && bytes.Equal(m[:16], first[:16]) {
			yield(m.line(), first.line())
			continue
		}
		first = m
	}
}

// run is a sorted stream of marks: a part of the file, or what is held.
type run struct {
	head mark
	from io.Reader
}

// merger is a heap of runs.
type merger []*run

func (s *sorter) merge() (*merger, error) {
	var all merger
	var before int64
	for _, end := range s.runs {
		part := io.NewSectionReader(s.file, before*int64(len(mark{})), (end-before)*int64(len(mark{})))
		all = append(all, &run{from: bufio.NewReaderSize(part, 64<<10)})
		before = end
	}
	held := make([]byte, 0, len(s.held)*len(mark{}))
	for i := range s.held {
		held = append(held, s.held[i][:]...)
	}
	all = append(all, &run{from: bytes.NewReader(held)})
	full := all[:0]
	for _, r := range all {
		switch ok, err := r.advance(); {
		case err != nil:
			return nil, err
		case ok:
			full = append(full, r)
		}
	}
	heap.Init(&full)
	return &full, nil
}

func (r *run) advance() (bool, error) {
	_, err := io.ReadFull(r.from, r.head[:])
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the temporary file of the job ids: %w", err)
	}
	return true, nil
}

func (m *merger) next() (mark, bool, error) {
	if len(*m) == 0 {
		return mark{}, false, nil
	}
	least := (*m)[0]
	head := least.head
	ok, err := least.advance()
	if ok {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
	}
	return head, true, err
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (m merger) Len() int           { return len(m) }
func (m merger) Less(i, j int) bool { return bytes.Compare(m[i].head[:], m[j].head[:]) < 0 }
func (m merger) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merger) Push(x any)        { *m = append(*m, x.(*run)) }
func (m *merger) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
