package redoxsim

import (
	"os"
	"strings"
	"testing"
)

// TestEveryActionIsDocumented holds docs/simulator.md to the actions that there are.
func TestEveryActionIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "Before the body is read:")
	if !found {
		t.Fatal("the page has no list of actions")
	}
	for _, action := range actions {
		if !strings.Contains(text, "`"+string(action)+"`") {
			t.Errorf("docs/simulator.md does not tell of %s", action)
		}
	}
}

func TestAnUnknownActionListsAll(t *testing.T) {
	err := (&Fault{Action: "explode"}).check()
	if err == nil {
		t.Fatal("an unknown action is taken")
	}
	for _, action := range actions {
		if !strings.Contains(err.Error(), string(action)) {
			t.Errorf("%v: %s is missing", err, action)
		}
	}
}
