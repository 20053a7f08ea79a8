package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
)

// YesFlag is on what cannot be taken back.
type YesFlag struct {
	Yes bool `short:"y" help:"Do not ask. Required where there is no terminal to ask at." group:"Audit" percall:""`
}

var errDeclined = errors.New("declined; nothing was done")

// Confirm asks a person, or wants the flag where there is none.
func (y YesFlag) Confirm(ctx context.Context, std Streams, question string) error {
	if y.Yes {
		return nil
	}
	if !std.InTerminal || !std.ErrTerminal {
		return Usage(errors.New("--yes: is required where nobody can be asked; nothing was done"))
	}
	fmt.Fprintf(std.Err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // outlives a Ctrl-C, at which the process ends
		line, _ := bufio.NewReader(std.In).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		if said == "y" || said == "yes" {
			return nil
		}
	case <-ctx.Done():
		fmt.Fprintln(std.Err)
	}
	return errDeclined
}
