// Package window has the times of a week at which a backfill may send.
package window

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Window is open at some times of each week, in one time zone.
type Window struct {
	zone  *time.Location
	parts []part
}

// part is open on its days from begin to end, minutes of the day. Where end is not later
// than begin it ends on the next day.
type part struct {
	days       [7]bool
	begin, end int
}

// day is how many minutes a day has on a clock.
const day = 24 * 60

var names = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Parse reads a window like "Mon-Fri 19:00-06:00, Sat-Sun": days, and then hours; days
// alone are open all day, and hours alone every day. A night counts to the day on which it
// begins.
func Parse(text string, zone *time.Location) (*Window, error) {
	w := &Window{zone: zone}
	for one := range strings.SplitSeq(text, ",") {
		p, err := parsePart(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		w.parts = append(w.parts, p)
	}
	return w, nil
}

var errForm = errors.New(`must look like "Mon-Fri 19:00-06:00, Sat-Sun": days Mon to Sun, hours 00:00 to 24:00`)

func parsePart(text string) (p part, err error) {
	p.end = day
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > 2 {
		return p, errForm
	}
	for i := range p.days {
		p.days[i] = true
	}
	if !strings.Contains(words[0], ":") {
		if p.days, err = parseDays(words[0]); err != nil {
			return p, err
		}
		words = words[1:]
	}
	switch len(words) {
	case 0:
		return p, nil
	case 1:
		p.begin, p.end, err = parseHours(words[0])
		return p, err
	}
	return p, errForm
}

func parseDays(text string) (days [7]bool, err error) {
	first, last, isRange := strings.Cut(strings.ToLower(text), "-")
	if !isRange {
		last = first
	}
	from, to := index(first), index(last)
	if from < 0 || to < 0 {
		return days, errForm
	}
	for i := from; ; i = (i + 1) % 7 {
		days[i] = true
		if i == to {
			return days, nil
		}
	}
}

func index(name string) int {
	for i, known := range names {
		if name == known {
			return i
		}
	}
	return -1
}

func parseHours(text string) (begin, end int, err error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		return 0, 0, errForm
	}
	if begin, err = parseMinute(first); err != nil {
		return 0, 0, err
	}
	end, err = parseMinute(last)
	if err == nil && (begin == end || begin == day) {
		err = errForm
	}
	return begin, end, err
}

func parseMinute(text string) (int, error) {
	var hours, minutes int
	var rest string
	n, _ := fmt.Sscanf(text, "%d:%d%s", &hours, &minutes, &rest)
	at := hours*60 + minutes
	if n != 2 || hours < 0 || minutes < 0 || minutes > 59 || at > day || len(text) != len("00:00") {
		return 0, errForm
	}
	return at, nil
}

// Open reports whether the window is open at a time.
func (w *Window) Open(at time.Time) bool {
	local := at.In(w.zone)
	minute, today := local.Hour()*60+local.Minute(), int(local.Weekday())
	yesterday := (today + 6) % 7
	for _, p := range w.parts {
		night := p.end <= p.begin
		switch {
		case p.days[today] && minute >= p.begin && (night || minute < p.end):
			return true
		case night && p.days[yesterday] && minute < p.end:
			return true
		}
	}
	return false
}

// Next is when the window opens next after a time at which it is closed, to the minute.
func (w *Window) Next(after time.Time) time.Time {
	at := after.Truncate(time.Minute)
	for range 8 * day {
		at = at.Add(time.Minute)
		if w.Open(at) {
			return at
		}
	}
	return time.Time{}
}
