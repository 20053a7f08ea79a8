package planning

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"os"
	"sort"
	"sync/atomic"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// Object is an object of a listing.
type Object struct {
	Bucket, Key string
	// Size is in bytes.
	Size int64
}

// Listing knows the sizes of a store's objects without asking it: an index on
// disk, in flat memory (a bit an object, and 24 bytes for each 64th), so that
// neither the listing nor the manifest need be in any order. It is a Sizer, for
// any number of goroutines.
type Listing struct {
	file *os.File
	salt []byte
	size int64
	// firsts are the first marks of the blocks.
	firsts []mark
	// asked has a bit for each object that was asked for.
	asked []atomic.Uint64
}

// blockMarks is how many marks are read at once.
const blockMarks = 64

// ErrListedTwice is a listing that names an object twice with different sizes:
// one of all versions. Which one a job would get is not known.
var ErrListedTwice = errors.New("the listing has an object more than once: list current versions only")

// NewListing reads a listing. dir, salt and held are as in Options.
func NewListing(objects iter.Seq2[Object, error], dir string, salt []byte, held int) (*Listing, error) {
	s := newSorter(dir, held)
	if held == 0 {
		s.most = marksHeld
	}
	defer s.close()
	for object, err := range objects {
		if err != nil {
			return nil, err
		}
		if err := s.add(markOf(salt, objectName(object.Bucket, object.Key), object.Size)); err != nil {
			return nil, err
		}
	}
	file, err := os.CreateTemp(dir, "chartpost-listing-*")
	if err != nil {
		return nil, fmt.Errorf("a temporary file for the listing: %w", err)
	}
	_ = os.Remove(file.Name())
	l := &Listing{file: file, salt: salt}
	if err := l.write(s); err != nil {
		l.Close()
		return nil, err
	}
	l.asked = make([]atomic.Uint64, l.size/64+1)
	return l, nil
}

// objectName is unambiguous: no bucket has a slash.
func objectName(bucket, key string) string { return bucket + "/" + key }

func (l *Listing) write(s *sorter) error {
	s.sort()
	merged, err := s.merge()
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(l.file, 256<<10)
	var before mark
	for {
		m, ok, err := merged.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if l.size > 0 && bytes.Equal(m[:16], before[:16]) {
			if m != before {
				return ErrListedTwice
			}
			continue
		}
		if before = m; l.size%blockMarks == 0 {
			l.firsts = append(l.firsts, m)
		}
		l.size++
		if _, err := w.Write(m[:]); err != nil {
			return fmt.Errorf("writing the temporary file of the listing: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the temporary file of the listing: %w", err)
	}
	return nil
}

// Size implements Sizer.
func (l *Listing) Size(_ context.Context, file schemas.File) (int64, error) {
	wanted := markOf(l.salt, objectName(file.Bucket, file.Key), 0)
	block := sort.Search(len(l.firsts), func(i int) bool { return bytes.Compare(l.firsts[i][:16], wanted[:16]) > 0 }) - 1
	if block < 0 {
		return 0, notListed()
	}
	var space [blockMarks * len(mark{})]byte
	n, err := l.file.ReadAt(space[:], int64(block)*int64(len(space)))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, &fault.Fault{Kind: fault.Retryable, Scope: fault.Store, Code: "listing_unreadable", Text: "the index of the listing cannot be read", Cause: err}
	}
	for i := 0; i+len(mark{}) <= n; i += len(mark{}) {
		found := mark(space[i : i+len(mark{})])
		if !bytes.Equal(found[:16], wanted[:16]) {
			continue
		}
		at := int64(block)*blockMarks + int64(i/len(mark{}))
		l.asked[at/64].Or(1 << (at % 64))
		return found.line(), nil
	}
	return 0, notListed()
}

func notListed() *fault.Fault {
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_not_listed", Text: "the listing has no such object"}
}

// Count counts; nobody has asked for the unnamed ones.
func (l *Listing) Count() Listed {
	c := Listed{Objects: l.size, Unnamed: l.size}
	for i := range l.asked {
		c.Unnamed -= int64(bits.OnesCount64(l.asked[i].Load()))
	}
	return c
}

// Close drops the index.
func (l *Listing) Close() {
	_ = l.file.Close()
	_ = os.Remove(l.file.Name())
}
