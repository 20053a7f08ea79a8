// Command s3server is a real S3 server over a folder: versitygw with its posix
// backend, which verifies signatures, honors If-Match and keeps versions. The
// package s3dev starts it.
//
// It speaks the protocol of devstack.ServeIfAsked: the order is JSON in an
// environment variable, the one line on standard output is JSON with the URL,
// and it serves until standard input closes.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// orderVariable is devstack's: it holds what is asked of a child process.
const orderVariable = "CHARTPOST_DEVSTACK_ROLE"

func main() {
	// The server prints to os.Stdout, which must hold our one line alone.
	out := os.Stdout
	os.Stdout = os.Stderr
	if err := run(os.Getenv(orderVariable), os.Stdin, out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(order string, in io.Reader, out io.Writer) error {
	var asked struct {
		Port    int     `json:"port"`
		Options options `json:"options"`
	}
	if order == "" {
		return errors.New("s3server: it is started by chartpost-dev and by tests: run `chartpost-dev s3`")
	}
	if err := json.Unmarshal([]byte(order), &asked); err != nil {
		return fmt.Errorf("s3server: %s: %w", orderVariable, err)
	}
	if asked.Port != 0 {
		asked.Options.Port = asked.Port
	}
	s, err := start(asked.Options)
	if err != nil {
		return fmt.Errorf("s3server: %w", err)
	}
	if err := json.NewEncoder(out).Encode(map[string]string{"url": s.url}); err != nil {
		return errors.Join(err, s.close())
	}
	_, err = io.Copy(io.Discard, in)
	return errors.Join(err, s.close())
}
