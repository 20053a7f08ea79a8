package compose_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/pipeline/compose"
)

func benchmarkInput(b *testing.B, name string) (goldenCase, []compose.Attachment) {
	for _, c := range goldenCases(b, "documentreference-create") {
		if strings.HasSuffix(c.dir, name) {
			return c, c.attachments(b, true)
		}
	}
	b.Fatal("no such case")
	return goldenCase{}, nil
}

func BenchmarkCompose(b *testing.B) {
	for _, name := range []string{"minimal", "entries-and-references"} {
		b.Run(name, func(b *testing.B) {
			c, files := benchmarkInput(b, name)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := compose.Compose(c.job, files); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBody(b *testing.B) {
	for _, size := range []int{100 << 10, 30_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			file := bytes.Repeat([]byte("0123456789"), size/10)
			files := baseFiles()
			files[0].Size = int64(len(file))
			m := mustCompose(b, baseJob(), files)
			buf := make([]byte, 32<<10) // what net/http copies with
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				r := compose.Body(context.Background(), m, func(context.Context, int) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(file)), nil
				})
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf)
				if err != nil || n != m.Size() {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("NewEncoder", func(b *testing.B) {
		file := make([]byte, 30_000_000)
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			r, w := io.Pipe()
			go func() {
				e := base64.NewEncoder(base64.StdEncoding, w)
				io.Copy(e, bytes.NewReader(file))
				e.Close()
				w.Close()
			}()
			io.Copy(io.Discard, r)
		}
	})
}
