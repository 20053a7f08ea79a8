package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
)

// yesFlag is on what cannot be taken back.
type yesFlag struct {
	Yes bool `short:"y" help:"Do not ask. Required where there is no terminal to ask at." group:"Audit" percall:""`
}

var errDeclined = errors.New("declined; nothing was done")

// confirm asks a person, or wants the flag where there is none.
func (y yesFlag) confirm(ctx context.Context, std streams, question string) error {
	if y.Yes {
		return nil
	}
	if !std.inTerminal || !std.errTerminal {
		return usage(errors.New("--yes: is required where nobody can be asked; nothing was done"))
	}
	fmt.Fprintf(std.err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // outlives a Ctrl-C, at which the process ends
		line, _ := bufio.NewReader(std.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		if said == "y" || said == "yes" {
			return nil
		}
	case <-ctx.Done():
		fmt.Fprintln(std.err)
	}
	return errDeclined
}
