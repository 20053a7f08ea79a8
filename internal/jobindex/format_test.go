package jobindex

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

var born = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func at(sequence uint64) time.Time { return born.Add(time.Duration(sequence) * time.Second) }

func TestASegmentFindsWhatItWasGiven(t *testing.T) {
	d := newDraft(newSalt(), born, 90, MostEvents)
	wanted := map[Term][]uint64{}
	for i := range uint64(2000) {
		sequence := 100 + i*i // gaps of all lengths
		terms := []Term{Pair("order", fmt.Sprint(i/2)), Pair("all", "one"), Pair("all", "one")}
		d.add(Event{Sequence: sequence, Stored: at(sequence)}, terms)
		for _, term := range terms[:2] {
			wanted[term] = append(wanted[term], sequence)
		}
	}
	if last := uint64(100 + 1999*1999); d.span != (Span{From: 90, Last: last, Since: at(100), Until: at(last), Born: born}) {
		t.Errorf("span %+v", d.span)
	}
	s, err := decode(d.encode())
	if err != nil {
		t.Fatal(err)
	}
	for term, want := range wanted {
		if got := s.find(term); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", term, got, want)
		}
	}
	if got := s.find(Pair("order", "1000")); got != nil {
		t.Errorf("what was never given is found at %v", got)
	}
	both := []Any{{Pair("all", "one")}, {Pair("order", "7"), Pair("order", "3")}}
	if got, want := s.match(both), []uint64{136, 149, 296, 325}; !slices.Equal(got, want) {
		t.Errorf("%v have both, want %v", got, want)
	}
}

func TestTermsOfDifferentKindsDiffer(t *testing.T) {
	all := []Term{Destination("a"), Class("a"), Status("a"), Code("a"), Pair("a", ""), Pair("", "a")}
	for i, term := range all {
		if slices.Contains(all[:i], term) {
			t.Errorf("%q twice", term)
		}
	}
}

func TestADraftIsFullBeforeItsMessageIsTooLarge(t *testing.T) {
	d := newDraft(newSalt(), born, 1, MostEvents)
	var sequence uint64
	for !d.full() {
		sequence++
		var terms []Term
		for i := range 21 { // an event has no more
			terms = append(terms, Pair(fmt.Sprint(i), fmt.Sprint(sequence)))
		}
		d.add(Event{Sequence: sequence << 20, Stored: at(sequence)}, terms)
	}
	if size := len(d.encode()); size > 900_000 || sequence < 1000 {
		t.Errorf("%d events take %d bytes", sequence, size)
	}
}

func TestWhatIsNoSegmentIsDamaged(t *testing.T) {
	d := newDraft(newSalt(), born, 1, MostEvents)
	d.add(Event{Sequence: 300, Stored: at(300)}, []Term{Class("live"), Pair("order", "1")})
	good := d.encode()
	later := slices.Clone(good)
	later[0]++
	for name, data := range map[string][]byte{"nothing": nil, "a later version": later, "cut in a hash": good[:len(good)-4], "cut in a list": good[:len(good)-1], "more": append(slices.Clone(good), 0)} {
		if _, err := decode(data); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecode: a segment is read by whoever asks, whatever is in it.
func FuzzDecode(f *testing.F) {
	d := newDraft(Salt{1}, born, 1, MostEvents)
	d.add(Event{Sequence: 300, Stored: at(300)}, []Term{Class("live"), Pair("order", "1")})
	f.Add(d.encode())
	f.Add([]byte{formatVersion})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decode(data)
		if err != nil {
			return
		}
		if len(s.hashes) != len(s.lists) || !slices.IsSorted(s.hashes) {
			t.Errorf("%d hashes and %d lists", len(s.hashes), len(s.lists))
		}
		s.match([]Any{{Class("live")}, {Pair("order", "1")}})
	})
}
