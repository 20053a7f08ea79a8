package budget

import (
	"context"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
)

// oneRecord is a store that holds one record, written at a time.
type oneRecord struct {
	value   []byte
	written time.Time
}

func (o oneRecord) Read(context.Context) ([]byte, uint64, time.Time, error) {
	return o.value, 1, o.written, nil
}

func (o oneRecord) Write(context.Context, []byte, uint64) (uint64, bool, error) {
	return 0, false, nil
}

// What a new record takes the window before it to have held is said to be assumed,
// and is nobody's backfill.
func TestWhatIsAssumedIsNotSaidToBeSpent(t *testing.T) {
	settings := Settings{Requests: 7500, Window: 5 * time.Minute, Reserve: 0.2}
	rules := rulesOf(settings)
	r := opening(rules)
	r.Fresh = [2]int{Live: 3, Backfill: 2}
	value, err := versioned.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	store := oneRecord{value: value, written: time.Unix(1_700_000_000, 0)}
	for age, want := range map[time.Duration]int{0: 7500, time.Minute: 6000, 4 * time.Minute: 1500, 6 * time.Minute: 0} {
		s, known, err := Look(t.Context(), settings, store, store.written.Add(age))
		if err != nil || !known {
			t.Fatalf("known %t, %v", known, err)
		}
		if s.Assumed < want-50 || s.Assumed > want+50 {
			t.Errorf("after %s: %d assumed, want about %d", age, s.Assumed, want)
		}
		spent := age < 5*time.Minute
		if s.Live+s.Backfill != 5 && spent || s.Live+s.Backfill != 0 && !spent {
			t.Errorf("after %s: %d live and %d backfill are said to be spent", age, s.Live, s.Backfill)
		}
		if left := s.AssumedFor + age; want > 0 && (left < 299*time.Second || left > 303*time.Second) {
			t.Errorf("after %s: assumed for %s more", age, s.AssumedFor)
		}
		if s.Used() != s.Live+s.Backfill+s.Out+s.Assumed {
			t.Errorf("after %s: %d used", age, s.Used())
		}
	}
}
