package pipeline

import (
	"context"
	"io"
	"sync/atomic"
)

// guardLease makes a body that hands over nothing any more once the lease of its
// job has ended: a worker that was frozen between two bytes must not go on with
// what may be another's job. left, unless nil, is called when the last of size
// bytes has been handed over.
func (d *delivery) guardLease(p Payload, left func()) Payload {
	open := p.Open
	p.Open = func(ctx context.Context) (io.ReadCloser, error) {
		if err := d.records.CheckLease(); err != nil {
			return nil, err
		}
		body, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return &leaseGuard{ReadCloser: body, records: d.records, handed: &d.handed, moved: d.progress.Moved, missing: p.Size, left: left}, nil
	}
	return p
}

type leaseGuard struct {
	io.ReadCloser
	records RecordStore
	handed  *atomic.Int64
	moved   func(bytes int)
	missing int64
	left    func()
}

func (f *leaseGuard) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	// After the read, which may have taken long: these bytes are the ones that
	// would leave.
	if lost := f.records.CheckLease(); lost != nil {
		return 0, lost
	}
	f.handed.Add(int64(n))
	f.moved(n)
	f.missing -= int64(n)
	if f.missing == 0 && n > 0 && f.left != nil {
		f.left()
	}
	return n, err
}
