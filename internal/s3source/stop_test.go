package s3source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
)

func TestStallIsResumed(t *testing.T) {
	shelf, content := newShelf(t, false), noise(big)
	file := shelf.put(t, "k", content)
	// It bounds the wait for an answer too, which a slow machine must not exceed.
	soon := func(c *Config) { c.Stall = 10 * time.Second }
	if !bytes.Equal(read(t, open(t, source(t, newCrook(t, stallAt(1_000_000)).URL, soon), file, nil)), content) {
		t.Error("other content")
	}
	object := open(t, source(t, newCrook(t, stallAt(1_000_000)).URL, soon), file, nil)
	defer object.Body.Close()
	b := object.Body.(*body)
	first := make([]byte, progress/2)
	if _, err := io.ReadFull(b, first); err != nil {
		t.Fatal(err)
	}
	b.left, b.gained = 0, -big // as after many stalls
	_, err := io.Copy(io.Discard, b)
	wantFault(t, err, fault.Retryable, "s3_stalled")
}

// TestWatchdogCountsOnlyReads: a consumer may take its time.
func TestWatchdogCountsOnlyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		from, to := io.Pipe()
		r := watch(from, cancel, time.Minute)
		go func() {
			for range 3 {
				time.Sleep(59 * time.Second)
				to.Write([]byte("x"))
			}
			<-ctx.Done()
			to.CloseWithError(ctx.Err())
		}()
		one := make([]byte, 1)
		for range 3 {
			time.Sleep(time.Hour)
			if _, err := r.Read(one); err != nil {
				t.Fatal(err)
			}
		}
		before := time.Now()
		if _, err := r.Read(one); !errors.Is(err, errStalled) {
			t.Errorf("got %v, want a stall", err)
		}
		if waited := time.Since(before); waited != time.Minute {
			t.Errorf("bitten after %v", waited)
		}
	})
}

func TestCancelled(t *testing.T) {
	shelf := newShelf(t, false)
	file := shelf.put(t, "k", noise(1000))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := source(t, storeURL).Open(gone, file, nil)
	wantFault(t, err, fault.Interrupted, "interrupted")
	_, err = source(t, storeURL).Stat(gone, file, nil)
	wantFault(t, err, fault.Interrupted, "interrupted")

	ctx, cancel := context.WithCancel(t.Context())
	object, err := source(t, newCrook(t, stallAt(100)).URL).Open(ctx, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	if _, err := io.ReadFull(object.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	go cancel()
	_, err = object.Body.Read(make([]byte, 1))
	wantFault(t, err, fault.Interrupted, "interrupted")
	if !errors.Is(err, context.Canceled) {
		t.Error("the cause is not the context's")
	}
}

// TestCloseEndsARead: net/http closes a request's body while it reads it.
func TestCloseEndsARead(t *testing.T) {
	shelf := newShelf(t, false)
	object := open(t, source(t, newCrook(t, stallAt(100)).URL), shelf.put(t, "k", noise(1000)), nil)
	if _, err := io.ReadFull(object.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	reading := make(chan struct{})
	replaceBody(object, func(r io.Reader) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			close(reading)
			return r.Read(p)
		})
	})
	ended := make(chan error, 1)
	go func() {
		_, err := object.Body.Read(make([]byte, 1))
		ended <- err
	}()
	<-reading
	for range 2 {
		if err := object.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	wantFault(t, <-ended, fault.Retryable, "read_closed")
	_, err := object.Body.Read(make([]byte, 1))
	wantFault(t, err, fault.Retryable, "read_closed")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestChecksums(t *testing.T) {
	shelf, content := newShelf(t, false), noise(100_000)
	file := shelf.put(t, "k", content)
	strict := func(c *Config) { c.ValidateChecksums = true }
	if !bytes.Equal(read(t, open(t, source(t, storeURL, strict), file, nil)), content) {
		t.Error("other content")
	}
	object := open(t, source(t, newCrook(t, flipped(50_000)).URL, strict), file, nil)
	defer object.Body.Close()
	n, err := io.Copy(io.Discard, object.Body)
	wantFault(t, err, fault.Retryable, "s3_unverified")
	if n >= int64(len(content)) {
		t.Error("the last bytes were handed out before the comparison")
	}
	// A resumed read cannot be compared, and must not fail for it.
	if !bytes.Equal(read(t, open(t, source(t, newCrook(t, cutAt(70_000)).URL, strict), file, nil)), content) {
		t.Error("other content")
	}
}

// TestManyStreamsNeedLittleMemory: 64 files of 30 MB, each open and midway.
func TestManyStreamsNeedLittleMemory(t *testing.T) {
	const streams, size = 64, 30_000_000
	shelf := newShelf(t, false)
	file, s := shelf.put(t, "k", noise(size)), source(t, storeURL, func(c *Config) { c.Concurrency = streams })
	before := heap()
	objects := make([]*pipeline.Object, streams)
	var all sync.WaitGroup
	for i := range objects {
		objects[i] = open(t, s, file, nil)
		all.Go(func() {
			if _, err := io.CopyN(io.Discard, objects[i].Body, 1<<20); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	used := heap() - before
	for _, object := range objects {
		object.Body.Close()
	}
	t.Logf("%d KiB a stream", used/streams/1024)
	if used > 4<<20 {
		t.Errorf("%d streams hold %d KiB", streams, used/1024)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
