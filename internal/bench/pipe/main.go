// Command pipe is the least that delivers files: it reads a file from S3, posts
// it, and posts a message that names it, over and over, with the clients of the
// worker. It has no queue, no records, no checks and no retries. It is what the
// worker's speed is held against.
//
// It writes the line "warm" once -warm files are delivered and "done" after
// -files more, and goes on delivering until its input is closed.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

func main() {
	var s settings
	flag.StringVar(&s.endpoint, "s3", "", "URL of the S3 server; its credentials come by the environment")
	flag.StringVar(&s.bucket, "bucket", "", "bucket of the file")
	flag.StringVar(&s.key, "key", "", "key of the file")
	flag.StringVar(&s.redox, "redox", "", "URL of the receiver")
	flag.StringVar(&s.authority, "ca", "", "PEM file of the receiver's authority")
	flag.StringVar(&s.blobHost, "blob-host", "", "host of the URLs that the receiver gives")
	flag.StringVar(&s.hashes, "hash", "none", "none, sha256, or both: SHA-256 and SHA-1")
	flag.IntVar(&s.slots, "slots", 16, "files in flight")
	warm := flag.Int64("warm", 100, "files before the measurement")
	files := flag.Int64("files", 1000, "files of the measurement")
	flag.Parse()
	if err := run(s, *warm, *files); err != nil {
		fmt.Fprintln(os.Stderr, "pipe:", err)
		os.Exit(1)
	}
}

// run delivers until standard input is closed or a delivery fails.
func run(s settings, warm, files int64) error {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	p, err := open(ctx, s)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin)) // its end, in whatever way, is the word to stop
		stop(nil)
	}()
	var delivered atomic.Int64
	var slots sync.WaitGroup
	for range s.slots {
		slots.Go(func() {
			for ctx.Err() == nil {
				if err := p.deliver(ctx); err != nil {
					stop(err)
					return
				}
				switch delivered.Add(1) {
				case warm:
					fmt.Println("warm")
				case warm + files:
					fmt.Println("done")
				}
			}
		})
	}
	slots.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
