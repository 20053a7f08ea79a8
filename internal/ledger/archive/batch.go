package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
)

// indexed is a page at work, with the ripe records that fall on it.
type indexed struct {
	number  uint16
	page    page
	message Message
	records []ripe
	// add are the groups that are to be written into it.
	add []group
}

// batch archives or removes some records, which are in the order of their places.
// Of pages that cannot be read the records stay as they are.
func (c *compaction) batch(ctx context.Context, records []ripe) error {
	pages, err := c.open(ctx, records)
	if _, is := errors.AsType[*Unreadable](err); err != nil && !is {
		return err
	}
	unreadable := err
	var removable []uint64
	var fresh []*Record
	for i := range pages {
		rest, old, err := c.sort(ctx, &pages[i])
		if err != nil {
			return err
		}
		removable = append(removable, old...)
		pages[i].records = rest
	}
	if fresh, err = c.load(ctx, pages); err != nil {
		return err
	}
	if err := c.write(ctx, pages, fresh); err != nil {
		return err
	}
	if len(removable) > 0 {
		if err := c.archive.bucket.Remove(ctx, c.born, removable); err != nil {
			return err
		}
		c.done.Removed += len(removable)
	}
	return unreadable
}

// open reads the pages of some records.
func (c *compaction) open(ctx context.Context, records []ripe) ([]indexed, error) {
	var pages []indexed
	for i, r := range records {
		if i == 0 || r.place.page() != records[i-1].place.page() {
			pages = append(pages, indexed{number: r.place.page()})
		}
		last := &pages[len(pages)-1]
		last.records = append(last.records, r)
	}
	errs := make([]error, len(pages))
	each(len(pages), func(i int) {
		p := &pages[i]
		p.page, p.message, errs[i] = c.archive.page(ctx, p.number)
	})
	readable := pages[:0]
	var unreadable error
	for i, err := range errs {
		_, is := errors.AsType[*Unreadable](err)
		switch {
		case is:
			unreadable = err
		case err != nil:
			return nil, err
		default:
			readable = append(readable, pages[i])
		}
	}
	return readable, unreadable
}

// sort separates the records of a page that are to be archived from those that
// are in the archive. Of these it gives the revisions whose removal is due.
func (c *compaction) sort(ctx context.Context, p *indexed) (rest []ripe, removable []uint64, err error) {
	due := !p.message.Stored.Add(c.archive.settings.Grace).After(c.now)
	for _, r := range p.records {
		archived, err := c.archived(ctx, p.page, r)
		switch {
		case err != nil:
			return nil, nil, err
		case !archived:
			rest = append(rest, r)
		case due:
			removable = append(removable, r.revision)
		default:
			c.done.Waiting++
		}
	}
	return rest, removable, nil
}

// archived reports whether this very revision can be read from the archive. A
// chunk that cannot be read is as good as none: the record goes into another.
func (c *compaction) archived(ctx context.Context, p page, r ripe) (bool, error) {
	for _, id := range p.find(r.place.fingerprint()) {
		records, err := c.read.get(ctx, c.archive, id)
		if _, is := errors.AsType[*Unreadable](err); is {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, found := range records {
			if r.is(found) {
				return true, nil
			}
		}
	}
	return false, nil
}

// load reads the records that are to be archived, page by page; those that have
// changed since the scan are nil.
func (c *compaction) load(ctx context.Context, pages []indexed) ([]*Record, error) {
	var wanted []ripe
	for _, p := range pages {
		wanted = append(wanted, p.records...)
	}
	found, errs := make([]*Record, len(wanted)), make([]error, len(wanted))
	each(len(wanted), func(i int) {
		r, ok, err := c.archive.bucket.At(ctx, wanted[i].revision)
		if errs[i] = err; ok && wanted[i].is(r) {
			found[i] = &r
		}
	})
	return found, errors.Join(errs...)
}

// write puts the records into chunks, and then the pages.
func (c *compaction) write(ctx context.Context, pages []indexed, records []*Record) error {
	b := chunker{c: c}
	for i := range pages {
		p := &pages[i]
		mine := records[:len(p.records)]
		records = records[len(p.records):]
		if len(p.message.Data)+8*len(mine)+64 > mostPageSize {
			c.done.Full += len(mine)
			continue
		}
		for _, r := range mine {
			if r == nil {
				continue
			}
			if err := b.add(ctx, p, *r); err != nil {
				return err
			}
		}
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	errs := make([]error, len(pages))
	each(len(pages), func(i int) {
		if len(pages[i].add) > 0 {
			errs[i] = c.index(ctx, &pages[i])
		}
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.done.Archived += b.stored
	return nil
}

// mostTries is how often a page is read again because another compactor wrote it,
// or because the answer to the own writing was lost.
const mostTries = 5

// index writes a page with its new groups.
func (c *compaction) index(ctx context.Context, p *indexed) error {
	subject := c.archive.pageSubject(p.number)
	var err error
	for range mostTries {
		next := p.page.with(p.add, c.expired)
		err = c.archive.store.Put(ctx, subject, next.encode(), p.message.Sequence)
		if err == nil || !errors.Is(err, ErrRaced) {
			return err
		}
		read, m, unread := c.archive.page(ctx, p.number)
		if unread != nil {
			return unread
		}
		if p.page, p.message = read, m; p.page.lists(p.add[len(p.add)-1].chunk) {
			return nil
		}
	}
	return err
}

// chunker fills one chunk after the other.
type chunker struct {
	c       *compaction
	records []Record
	bytes   int
	stored  int
}

// add puts a record into the chunk and notes it for its page.
func (b *chunker) add(ctx context.Context, p *indexed, r Record) error {
	if len(b.records) == mostRecords || b.bytes >= enoughBytes {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	id := chunkID{b.c.run, b.c.chunks}
	if n := len(p.add); n == 0 || p.add[n-1].chunk != id {
		p.add = append(p.add, group{chunk: id})
	}
	g := &p.add[len(p.add)-1]
	g.fingerprints = binary.BigEndian.AppendUint32(g.fingerprints, placeOf(r.Key).fingerprint())
	b.records = append(b.records, r)
	b.bytes += len(r.Key) + len(r.Value)
	return nil
}

// flush writes the chunk. Nobody else writes one of this pass: where one is there,
// the answer to the own writing was lost.
func (b *chunker) flush(ctx context.Context) error {
	if len(b.records) == 0 {
		return nil
	}
	data, err := encodeChunk(b.records)
	if err != nil {
		return err
	}
	subject := b.c.archive.chunkSubject(chunkID{b.c.run, b.c.chunks})
	err = b.c.archive.store.Put(ctx, subject, data, 0)
	if errors.Is(err, ErrRaced) {
		var m Message
		if m, _, err = b.c.archive.store.Newest(ctx, subject); err == nil && !bytes.Equal(m.Data, data) {
			err = ErrRaced
		}
	}
	if err != nil {
		return err
	}
	b.stored += len(b.records)
	b.records, b.bytes = nil, 0
	b.c.chunks++
	return nil
}

// atOnce is how many requests to the server are under way.
const atOnce = 32

// each calls do with 0 to n-1, several at once.
func each(n int, do func(i int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	all.Wait()
}
