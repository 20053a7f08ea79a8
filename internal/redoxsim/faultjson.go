package redoxsim

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// plainFault is Fault without its methods.
type plainFault Fault

// faultText is Fault in JSON, where a delay is a Go duration string.
type faultText struct {
	plainFault
	Delay string `json:"delay,omitzero"`
}

// MarshalJSON writes a fault for POST /_sim/faults.
func (f Fault) MarshalJSON() ([]byte, error) {
	text := faultText{plainFault: plainFault(f)}
	if f.Delay != 0 {
		text.Delay = f.Delay.String()
	}
	return json.Marshal(text)
}

// UnmarshalJSON reads a fault; members it does not know are an error.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var text faultText
	if err := json.Unmarshal(data, &text, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if text.Delay != "" {
		delay, err := time.ParseDuration(text.Delay)
		if err != nil {
			return fmt.Errorf("redoxsim: fault: delay: %w", err)
		}
		text.plainFault.Delay = delay
	}
	*f = Fault(text.plainFault)
	return nil
}
