package cli

import (
	"errors"
	"fmt"
	"time"
)

// TimeFlags bound what is looked at by time. Whoever embeds them calls Parse.
type TimeFlags struct {
	Since string `placeholder:"TIME" help:"Only from then on: 2h (ago), 2026-11-20, 2026-11-20T18:00:00Z." percall:""`
	Until string `placeholder:"TIME" help:"Only before then, written like --since." percall:""`

	// From and Before are the bounds, once they are parsed; zero is none.
	From   time.Time `kong:"-"`
	Before time.Time `kong:"-"`
}

// Parse reads both bounds.
func (f *TimeFlags) Parse(now time.Time) error {
	var faults []error
	for _, one := range []struct {
		flag, text string
		into       *time.Time
	}{{"since", f.Since, &f.From}, {"until", f.Until, &f.Before}} {
		if one.text == "" {
			continue
		}
		var err error
		if *one.into, err = ParseTime(one.text, now); err != nil {
			faults = append(faults, fmt.Errorf("--%s: %w", one.flag, err))
		}
	}
	if len(faults) == 0 && !f.From.IsZero() && !f.Before.IsZero() && !f.Before.After(f.From) {
		faults = append(faults, errors.New("--until: must be later than --since"))
	}
	return errors.Join(faults...)
}

// ParseTime reads a time, or a length of time as that long ago. A date is its
// midnight here.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("must be a time like 2026-11-20T18:00:00Z, 2026-11-20, or 2h for two hours ago")
}

// Within reports whether a time is within the bounds.
func (f *TimeFlags) Within(t time.Time) bool {
	return !t.Before(f.From) && (f.Before.IsZero() || t.Before(f.Before))
}
