package schemas

import "testing"

func TestJobKeys(t *testing.T) {
	for _, key := range []JobKey{{"good-health", "a"}, {"good.health~1", "lab_2026-1"}, {"_", "_"}, {"0f8fad5b-d9cb-469f-a165-70867728950e", "-"}} {
		if got, err := ParseJobKey(key.String()); err != nil || got != key {
			t.Errorf("%s: %v, %v", key, got, err)
		}
		if got, err := ParseJobTokens(key.Tokens()); err != nil || got != key {
			t.Errorf("%s: %v, %v", key.Tokens(), got, err)
		}
		for _, id := range []string{EventID(key, 3, StatusAccepted), DuplicateID(EventID(key, 1, StatusDuplicate), 7)} {
			if got, ok := KeyOfEvent(id); !ok || got != key {
				t.Errorf("%s: %v, %v", id, got, ok)
			}
		}
	}
	if got := (JobKey{"good.health", "a_1"}).Tokens(); got != "good_2Ehealth.a_1" {
		t.Errorf("tokens %s", got)
	}
	if key, err := ParseJobKey("a_1"); err != nil || key != (JobKey{ID: "a_1"}) {
		t.Errorf("an id alone: %v, %v", key, err)
	}
	for _, text := range []string{"", "/", "a/", "/a", "a b", "a/b/c", "a//b", "a b/c", "a/b c", "../a", "*/a", ">/a", "a/é"} {
		if key, err := ParseJobKey(text); err == nil {
			t.Errorf("ParseJobKey(%q) = %v, want an error", text, key)
		}
	}
	for _, text := range []string{"", ".", "a", "a.", ".a", "a.b.c", "_.a", "*.a", "a.*", "a.b c"} {
		if key, err := ParseJobTokens(text); err == nil {
			t.Errorf("ParseJobTokens(%q) = %v, want an error", text, key)
		}
	}
	for _, id := range []string{"", "a", "a/b"} {
		if key, ok := KeyOfEvent(id); ok {
			t.Errorf("KeyOfEvent(%q) = %v", id, key)
		}
	}
}

// TestTheSameIDElsewhere is another job: no name of it is shared.
func TestTheSameIDElsewhere(t *testing.T) {
	one, two := complete(StatusAccepted), complete(StatusAccepted)
	two.Destination = "clinic"
	if a, b := NewEvent("chartpost", one, someday), NewEvent("chartpost", two, someday); a.ID == b.ID || a.Subject != b.Subject {
		t.Errorf("ids %q and %q, subjects %q and %q", a.ID, b.ID, a.Subject, b.Subject)
	}
	a, b := JobKey{one.Destination, one.JobID}, JobKey{two.Destination, two.JobID}
	if LaterSubject("chartpost", a) == LaterSubject("chartpost", b) || a.Tokens() == b.Tokens() {
		t.Errorf("%s and %s share a schedule or a record", a, b)
	}
	live, backfill := KeyOf(lane(Live, "clinic"), "x"), KeyOf(lane(Backfill, "clinic"), "x")
	if live != backfill {
		t.Error("the class is part of a job's name")
	}
}
