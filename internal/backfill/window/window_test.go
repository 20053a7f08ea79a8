package window

import (
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Skip(err)
	}
	return loc
}

// TestOpen: nights belong to the day on which they begin, weekends are whole, and the clock
// is that of the zone.
func TestOpen(t *testing.T) {
	chicago := zone(t, "America/Chicago")
	w, err := Parse("Mon-Fri 19:00-06:00, Sat-Sun", chicago)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"2026-11-23 05:59": false, // Monday before its night: Sunday's is none
		"2026-11-23 18:59": false, "2026-11-23 19:00": true, "2026-11-23 23:59": true,
		"2026-11-24 00:00": true, "2026-11-24 05:59": true, "2026-11-24 06:00": false, "2026-11-24 12:00": false,
		"2026-11-28 05:00": true, "2026-11-28 12:00": true, "2026-11-29 23:59": true, "2026-11-30 00:00": false,
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", text, chicago)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Open(at.UTC()); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	noon := time.Date(2026, 11, 24, 12, 0, 30, 0, chicago)
	if got := w.Next(noon); !got.Equal(time.Date(2026, 11, 24, 19, 0, 0, 0, chicago)) {
		t.Errorf("it opens next at %s", got)
	}
}

// TestTheClockIsChanged: in the night in which an hour is missing or comes twice the window
// follows the clock on the wall.
func TestTheClockIsChanged(t *testing.T) {
	chicago := zone(t, "America/Chicago")
	w, err := Parse("01:00-03:00", chicago)
	if err != nil {
		t.Fatal(err)
	}
	open := func(from time.Time) (minutes int) {
		for i := range 24 * 60 {
			if w.Open(from.Add(time.Duration(i) * time.Minute)) {
				minutes++
			}
		}
		return minutes
	}
	for at, want := range map[time.Time]int{
		time.Date(2026, 3, 8, 0, 0, 0, 0, chicago):  60, // 02:00 to 03:00 is missing
		time.Date(2026, 11, 1, 0, 0, 0, 0, chicago): 180,
		time.Date(2026, 7, 1, 0, 0, 0, 0, chicago):  120,
	} {
		if got := open(at); got != want {
			t.Errorf("%s: open for %d minutes, not %d", at.Format(time.DateOnly), got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{"", "Mon-", "Mon 19:00", "19:00-19:00", "24:00-06:00", "25:00-06:00", "19:00-6:00", "Mon Tue 19:00-20:00", "Mon-Fri, ", "19:60-20:00", "nights"} {
		if _, err := Parse(text, time.UTC); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for text, open := range map[string]bool{
		"Fri-Mon": false, "wed": true, "22:00-24:00": false, "00:00-24:00": true, "WED 11:00-13:00": true, "Tue 13:00-12:30": true,
	} {
		w, err := Parse(text, time.UTC)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := w.Open(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)); got != open {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Mon-Fri 19:00-06:00, Sat-Sun")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := Parse(text, time.UTC)
		if err != nil {
			return
		}
		at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		if next := w.Next(at); next.IsZero() || !w.Open(next) {
			t.Errorf("%q never opens: %s", text, next)
		}
	})
}
