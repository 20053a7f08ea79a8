package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// yesFlag is on what cannot be taken back.
type yesFlag struct {
	Yes bool `short:"y" help:"Do not ask. Required where nobody can be asked." group:"Audit"`
}

var errDeclined = errors.New("declined; nothing was done")

// confirm asks a person, or wants the flag where there is none.
func (y yesFlag) confirm(std streams, question string) error {
	if y.Yes {
		return nil
	}
	if !std.inTerminal || !std.errTerminal {
		return usage(errors.New("--yes: is required where nobody can be asked; nothing was done"))
	}
	fmt.Fprintf(std.err, "%s [y/N] ", question)
	line, _ := bufio.NewReader(std.in).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errDeclined
	}
	return nil
}
