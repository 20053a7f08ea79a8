package compose_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
)

// embedding composes a message that embeds two files of these sizes.
func embedding(t testing.TB, sizes ...int) *compose.Message {
	t.Helper()
	files := baseFiles()
	for i, n := range sizes {
		files[i].Size, files[i].URL = int64(n), ""
	}
	return mustCompose(t, baseJob(), files)
}

func content(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31 + i>>8 + seed)
	}
	return b
}

// store opens files and counts what is open.
type store struct {
	wrap   func(io.Reader) io.Reader
	files  [][]byte
	mu     sync.Mutex
	opened []int
	open   int
}

func (s *store) Open(_ context.Context, i int) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, i)
	s.open++
	var r io.Reader = bytes.NewReader(s.files[i])
	if s.wrap != nil {
		r = s.wrap(r)
	}
	return &storeFile{Reader: r, s: s}, nil
}

func (s *store) state() (opened []int, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.opened), s.open
}

type storeFile struct {
	io.Reader
	s    *store
	once sync.Once
}

func (f *storeFile) Close() error {
	f.once.Do(func() {
		f.s.mu.Lock()
		f.s.open--
		f.s.mu.Unlock()
	})
	return nil
}

// expected builds the message by the parts it says it has.
func expected(m *compose.Message, files [][]byte) []byte {
	var b []byte
	for _, p := range m.Parts() {
		if p.Literal != nil {
			b = append(b, p.Literal...)
		} else {
			b = base64.StdEncoding.AppendEncode(b, files[p.File])
		}
	}
	return b
}

func TestBodyIsTheMessage(t *testing.T) {
	const block = 48 << 10
	readers := map[string]func(io.Reader) io.Reader{
		"whole": nil, "one byte": iotest.OneByteReader, "half": iotest.HalfReader, "error with data": iotest.DataErrReader,
	}
	for _, size := range []int{1, 2, 3, 4, 5, 100, block - 1, block, block + 1, 2*block + 2} {
		files := [][]byte{content(size, 1), content(7, 2)}
		m := embedding(t, size, 7)
		want := expected(m, files)
		if m.Size() != int64(len(want)) || !slices.Equal(m.EmbeddedFiles(), []int{0, 1}) {
			t.Fatalf("size %d: the message has %d bytes, Size says %d; it embeds %v", size, len(want), m.Size(), m.EmbeddedFiles())
		}
		for name, wrap := range readers {
			for _, step := range []int{1, 2, 3, 4, 5, 7, 64, 4095, 32 << 10, 1 << 20} {
				if step < 64 && size > 100 && name != "half" {
					continue // minutes of single bytes that add nothing
				}
				s := &store{files: files, wrap: wrap}
				r := compose.Body(t.Context(), m, s.Open)
				got, err := readBySteps(r, step)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("size %d, %s, %d at a time: other bytes, or %v", size, name, step, err)
				}
				if opened, open := s.state(); open != 0 || !slices.Equal(opened, []int{0, 1}) {
					t.Fatalf("opened %v, still open %d", opened, open)
				}
				r.Close()
			}
		}
	}
}

func readBySteps(r io.Reader, step int) ([]byte, error) {
	var all []byte
	p := make([]byte, step)
	for {
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

func TestBodyKeepsTheReaderContract(t *testing.T) {
	m := embedding(t, 1000, 2000)
	files := [][]byte{content(1000, 1), content(2000, 2)}
	s := &store{files: files}
	if err := iotest.TestReader(compose.Body(t.Context(), m, s.Open), expected(m, files)); err != nil {
		t.Fatal(err)
	}
}

func TestBodyOpensLazily(t *testing.T) {
	m := embedding(t, 90_000, 10)
	s := &store{files: [][]byte{content(90_000, 1), content(10, 2)}}
	r := compose.Body(t.Context(), m, s.Open)
	if _, err := io.ReadFull(r, make([]byte, len(m.Parts()[0].Literal))); err != nil {
		t.Fatal(err)
	}
	if opened, _ := s.state(); len(opened) != 0 {
		t.Fatalf("opened %v before its place was reached", opened)
	}
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if opened, open := s.state(); !slices.Equal(opened, []int{0}) || open != 1 {
		t.Fatalf("opened %v, open %d", opened, open)
	}
	r.Close()
	r.Close()
	if _, open := s.state(); open != 0 {
		t.Fatal("Close left the file open")
	}
	if _, err := io.ReadAll(r); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("reading on after Close gives %v", err)
	}
}

func TestBodyOfUploadedFilesOpensNothing(t *testing.T) {
	files := baseFiles()
	files[0].URL = "https://blob.redoxengine.com/0"
	m := mustCompose(t, baseJob(), files)
	if m.EmbeddedFiles() != nil {
		t.Fatalf("embeds %v", m.EmbeddedFiles())
	}
	readBody(t, m, func(context.Context, int) (io.ReadCloser, error) { return nil, errors.New("opened") })
}

func TestBodyRefusesAnotherSize(t *testing.T) {
	for _, announced := range []int{1, 3, 1000, 48 << 10, 100_000} {
		for _, change := range []int{-1, +1, +100_000} {
			t.Run(fmt.Sprintf("%d%+d", announced, change), func(t *testing.T) {
				m := embedding(t, 3, announced)
				s := &store{files: [][]byte{content(3, 1), content(announced+change, 2)}}
				r := compose.Body(t.Context(), m, s.Open)
				got, err := io.ReadAll(r)
				f, ok := errors.AsType[*fault.Fault](err)
				if !ok || f.Kind != fault.Retryable || f.Code != "file_size" || f.Path != "/files/1" || strings.Contains(f.Text, "%!") {
					t.Fatalf("got %v", err)
				}
				want := fmt.Sprintf("longer than the %d bytes", announced)
				if change < 0 {
					want = fmt.Sprintf("after %d of the %d bytes", announced+change, announced)
				}
				if !strings.Contains(f.Text, want) {
					t.Errorf("the text does not name the sizes: %v", f)
				}
				last := m.Parts()[len(m.Parts())-1].Literal
				if int64(len(got)) > m.Size()-int64(len(last)) {
					t.Error("bytes behind the wrong file were sent")
				}
				if n, again := r.Read(make([]byte, 10)); n != 0 || again != err {
					t.Errorf("the error does not stay: %d, %v", n, again)
				}
				r.Close()
				if _, open := s.state(); open != 0 {
					t.Error("a file stays open")
				}
			})
		}
	}
}

func TestBodyPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	m := embedding(t, 100, 100)
	cases := map[string]compose.Opener{
		"open": func(context.Context, int) (io.ReadCloser, error) { return nil, broken },
		"midway": func(context.Context, int) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(content(50, 1)), iotest.ErrReader(broken))), nil
		},
		"instead of EOF": func(context.Context, int) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(content(100, 1)), iotest.ErrReader(broken))), nil
		},
		"at close": func(context.Context, int) (io.ReadCloser, error) {
			return failingClose{bytes.NewReader(content(100, 1)), broken}, nil
		},
	}
	for name, open := range cases {
		got, err := io.ReadAll(compose.Body(t.Context(), m, open))
		if !errors.Is(err, broken) || int64(len(got)) >= m.Size() {
			t.Errorf("%s: %d bytes and %v", name, len(got), err)
		}
	}
}

type failingClose struct {
	io.Reader
	err error
}

func (f failingClose) Close() error { return f.err }

// TestCloseEndsARead: net/http closes a body while its other goroutine reads.
func TestCloseEndsARead(t *testing.T) {
	m := embedding(t, 100, 100)
	reading := make(chan struct{})
	pr, pw := io.Pipe()
	r := compose.Body(t.Context(), m, func(context.Context, int) (io.ReadCloser, error) { return pr, nil })
	done := make(chan error)
	go func() {
		_, err := io.ReadAll(r)
		done <- err
	}()
	go func() {
		pw.Write(content(10, 1)) // returns once the reader has it
		close(reading)
	}()
	<-reading
	r.Close()
	if err := <-done; err == nil {
		t.Fatal("the read ended without an error")
	}
}

// TestStreamsDoNotMix runs many streams over one message, some cut off, and
// looks for bytes of another.
func TestStreamsDoNotMix(t *testing.T) {
	const size = 200_000
	m := embedding(t, size, size)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			files := [][]byte{content(size, i), content(size, i+100)}
			for range 2 {
				cut := compose.Body(context.Background(), m, (&store{files: files}).Open)
				io.CopyN(io.Discard, cut, int64(10_000*(i+1)))
				cut.Close()
				got, err := io.ReadAll(compose.Body(context.Background(), m, (&store{files: files}).Open))
				if err != nil || !bytes.Equal(got, expected(m, files)) {
					t.Errorf("stream %d: other bytes, or %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestCloseWhileOpening: a file that opens after Close is closed at once.
func TestCloseWhileOpening(t *testing.T) {
	m := embedding(t, 10, 10)
	s := &store{files: [][]byte{content(10, 1), content(10, 2)}}
	var r io.ReadCloser
	r = compose.Body(t.Context(), m, func(ctx context.Context, i int) (io.ReadCloser, error) {
		r.Close()
		return s.Open(ctx, i)
	})
	got, err := io.ReadAll(r)
	if !errors.Is(err, os.ErrClosed) || len(got) != len(m.Parts()[0].Literal) {
		t.Errorf("got %d bytes and %v", len(got), err)
	}
	if opened, open := s.state(); len(opened) != 1 || open != 0 {
		t.Errorf("opened %v, still open %d", opened, open)
	}
}

// TestCloseKeepsTheBuffer: a file's Read may outlast Close, and until it
// returns no other stream may work in its buffer.
func TestCloseKeepsTheBuffer(t *testing.T) {
	m := embedding(t, 48<<10, 48<<10)
	for range 20 {
		first := stuckStream(t, m)
		inUse := <-first.entered
		first.stream.Close()
		var others []*stuckFile
		for range 8 {
			others = append(others, stuckStream(t, m))
		}
		for _, o := range others {
			if <-o.entered == inUse {
				t.Error("two streams share a buffer")
			}
		}
		for _, o := range append(others, first) {
			close(o.resume)
			<-o.done
		}
	}
}

// stuckStream starts to read a stream whose file does not move.
func stuckStream(t *testing.T, m *compose.Message) *stuckFile {
	f := &stuckFile{entered: make(chan *byte), resume: make(chan struct{}), done: make(chan struct{})}
	f.stream = compose.Body(t.Context(), m, func(context.Context, int) (io.ReadCloser, error) { return f, nil })
	go func() {
		defer close(f.done)
		io.ReadAll(f.stream)
	}()
	return f
}

// stuckFile says where its reader's buffer lies, then waits, then fails.
type stuckFile struct {
	entered chan *byte
	resume  chan struct{}
	done    chan struct{}
	stream  io.ReadCloser
}

func (f *stuckFile) Read(p []byte) (int, error) {
	f.entered <- &p[0]
	<-f.resume
	return 0, io.ErrClosedPipe
}

func (f *stuckFile) Close() error { return nil }
