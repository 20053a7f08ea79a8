package schemas

// maxKept is how many items of one array, and how many fields of one object
// that the schema does not name, the validator gets to see. It keeps an error
// for each that it refuses, and a job of MaxJobSize has room for half a million
// of them. It is more than any bound of a schema and than MaxProblems.
//
// What is left out never changes the verdict: the first maxKept are over the
// bound that the schema sets or refuse by themselves; where it sets none, the
// items after them are looked at one by one, and those kept that it refuses.
const maxKept = 100

// items is an array as the validator gets it; without a shape, one that it does
// not get.
type items struct {
	at   *shape
	kept []any
	// total counts the items there are.
	total int
	// late are the indices of those kept after the first maxKept, at most
	// maxKept again.
	late []int
}

func newItems(at *shape) items {
	if at == nil {
		return items{}
	}
	return items{at: at, kept: []any{}}
}

// look is the shape of the next item; nil where it is not needed.
func (l *items) look() *shape {
	if l.at == nil || l.total >= maxKept && (!l.at.endless || len(l.late) == maxKept) {
		return nil
	}
	return l.at.items
}

// add takes the next item, of the shape that look gave, and tells whether it
// is kept.
func (l *items) add(v any, inside *shape) bool {
	l.total++
	if l.at == nil {
		return false
	}
	if l.total > maxKept {
		if !inside.refuses(v) {
			return false
		}
		l.late = append(l.late, l.total-1)
	}
	l.kept = append(l.kept, v)
	return true
}

// refuses tells whether any schema of the place is broken by v alone.
func (s *shape) refuses(v any) bool {
	if s == nil {
		return false
	}
	for _, sch := range s.schemas {
		if sch.Validate(v) != nil {
			return true
		}
	}
	return false
}

// fields is an object as the validator gets it; without a shape, one that it
// does not get.
type fields struct {
	at   *shape
	kept map[string]any
	// extra counts those that the schema does not name but minds.
	extra int
}

func newFields(at *shape) fields {
	if at == nil {
		return fields{}
	}
	return fields{at: at, kept: map[string]any{}}
}

// look is the shape of a field's value; keep is false where neither the field
// nor its value is needed.
func (f *fields) look(name string) (inside *shape, keep bool) {
	if f.at == nil {
		return nil, false
	}
	if named, ok := f.at.fields[name]; ok {
		return named, true
	}
	if f.at.open {
		return nil, false
	}
	if f.extra++; f.extra > maxKept {
		return nil, false
	}
	return f.at.rest, true
}

// cut is what the validator cannot know of an array or object that it sees a
// part of.
type cut struct {
	total int
	late  []int
}

func (l *items) cut() (cut, bool) { return cut{l.total, l.late}, l.at != nil && l.total > maxKept }

func (f *fields) cut() (cut, bool) {
	return cut{total: len(f.kept) + f.extra - maxKept}, f.extra > maxKept
}
