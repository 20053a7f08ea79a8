package main

import (
	"testing"
	"time"
)

// TestLayoutIsThatOfSetup: the folder keeps its streams as chartpost setup makes them where
// nothing is set, so that what is tried here holds for a real deployment.
func TestLayoutIsThatOfSetup(t *testing.T) {
	got, err := layout()
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	if got.Replicas != 1 || got.LedgerAge != 14*day || got.LedgerOpenAge != 90*day || got.DeadAge != 90*day || got.EventsAge != 30*day || got.Lanes != 500 {
		t.Errorf("%+v", got)
	}
}
