package backfill

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the image has no time zones, and a machine may have none
)

// Windows are the hours of a week in which a run is fed, by the clock of a time zone. The
// zero value is always open.
type Windows struct {
	spans []span
	zone  *time.Location
	clock func() time.Time
}

// By is the same windows by another clock than time.Now.
func (w Windows) By(clock func() time.Time) Windows {
	w.clock = clock
	return w
}

func (w Windows) now() time.Time {
	if w.clock != nil {
		return w.clock()
	}
	return time.Now()
}

// span is a part of the days that it begins on. One that ends before it begins ends on the
// next day.
type span struct {
	days [7]bool // by time.Weekday
	// begin and end are minutes of a day.
	begin, end int
}

const minutesOfDay = 24 * 60

var errWindow = errors.New("must look like Mon-Fri 19:00-07:00 or Sat 00:00-24:00")

// ErrZone refuses a time zone that is missing or not known here.
var ErrZone = errors.New("must be a time zone that this machine knows, like America/New_York, or UTC")

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindows reads windows like "Mon-Fri 19:00-07:00" in a time zone of the IANA database.
func ParseWindows(texts []string, zone string) (Windows, error) {
	if len(texts) == 0 {
		return Windows{}, nil
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return Windows{}, ErrZone
	}
	w := Windows{zone: location}
	for _, text := range texts {
		s, err := parseSpan(strings.ToLower(text))
		if err != nil {
			return Windows{}, err
		}
		w.spans = append(w.spans, s)
	}
	return w, nil
}

func parseSpan(text string) (s span, err error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return s, errWindow
	}
	first, last, isRange := strings.Cut(fields[0], "-")
	if !isRange {
		last = first
	}
	from, to := weekday(first), weekday(last)
	begin, end, ok := strings.Cut(fields[1], "-")
	if s.begin, err = minuteOf(begin); err != nil || !ok || from < 0 || to < 0 {
		return s, errWindow
	}
	if s.end, err = minuteOf(end); err != nil || s.begin == s.end || s.begin == minutesOfDay || s.end == 0 {
		return s, errWindow
	}
	for day := from; ; day = (day + 1) % 7 {
		if s.days[day] = true; day == to {
			return s, nil
		}
	}
}

func weekday(text string) int {
	for day, name := range weekdays {
		if name == text {
			return day
		}
	}
	return -1
}

func minuteOf(text string) (int, error) {
	if text == "24:00" {
		return minutesOfDay, nil
	}
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%w", errWindow)
	}
	return at.Hour()*60 + at.Minute(), nil
}

// Open reports whether a run is fed at that time.
func (w Windows) Open(at time.Time) bool {
	if len(w.spans) == 0 {
		return true
	}
	at = at.In(w.zone)
	today, minute := int(at.Weekday()), at.Hour()*60+at.Minute()
	yesterday := (today + 6) % 7
	for _, s := range w.spans {
		overnight := s.end < s.begin
		switch {
		case s.days[today] && minute >= s.begin && (overnight || minute < s.end):
			return true
		case overnight && s.days[yesterday] && minute < s.end:
			return true
		}
	}
	return false
}

// Opens is when the next window begins, to the minute, at or after that time.
func (w Windows) Opens(at time.Time) time.Time {
	// A week has every minute of the clock, and two hours more than an hour that is left out.
	for next, last := at, at.Add(7*24*time.Hour+2*time.Hour); next.Before(last); next = next.Truncate(time.Minute).Add(time.Minute) {
		if w.Open(next) {
			return next
		}
	}
	return at.Add(7 * 24 * time.Hour)
}
