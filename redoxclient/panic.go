package redoxclient

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// SourcePanic is the panic of a body's source, raised once more where the call
// was made: net/http reads bodies in goroutines of its own, where nobody could
// recover it, and Go would print its value, which may be about a patient. It
// shows the type of that value, and never the value.
type SourcePanic struct {
	kind  string
	stack string
}

func newSourcePanic(value any) *SourcePanic {
	return &SourcePanic{fmt.Sprintf("%T", value), string(debug.Stack())}
}

// Error names the type of the source's value.
func (p *SourcePanic) Error() string { return "the body's source panicked with a " + p.kind }

// Type is the type of the source's value.
func (p *SourcePanic) Type() string { return p.kind }

// Stack is where the source panicked, as debug.Stack tells it.
func (p *SourcePanic) Stack() string { return p.stack }

// raise panics in the caller's goroutine if the source did so in another.
func (a *attempt) raise() {
	if p, ok := errors.AsType[*SourcePanic](a.sourceFault()); ok {
		panic(p)
	}
}
