package devstack

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// roleVariable asks a program that calls ServeIfAsked to be a server.
const roleVariable = "CHARTPOST_DEVSTACK_ROLE"

// Server is a server that runs.
type Server interface {
	// URL is where clients reach it.
	URL() string
	// Close stops it and waits until it has stopped.
	Close() error
}

// Role is a kind of server that a program can become.
type Role struct {
	// Name tells the roles of one program apart.
	Name string
	// Serve starts the server with the options that StartProcess was given, as
	// JSON, and on the given port unless that is 0.
	Serve func(port int, options json.RawMessage) (Server, error)
}

// order is what the parent process asks of the child.
type order struct {
	Role    string          `json:"role"`
	Port    int             `json:"port"`
	Options json.RawMessage `json:"options"`
}

// ready is the one line the child writes to its standard output.
type ready struct {
	URL string `json:"url"`
}

// NATSRole makes a program able to be a NATS server.
func NATSRole() Role {
	return Role{Name: "nats", Serve: func(port int, raw json.RawMessage) (Server, error) {
		var options NATSOptions
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fmt.Errorf("nats: options: %w", err)
		}
		if port != 0 {
			options.Port = port
		}
		return StartNATS(options)
	}}
}

// ServeIfAsked returns at once in a program that was started by hand. In one
// that StartProcess started it serves until standard input closes, which the
// death of the parent does too, and then exits.
//
// Call it first thing in TestMain or main.
func ServeIfAsked(roles ...Role) {
	raw, asked := os.LookupEnv(roleVariable)
	if !asked {
		return
	}
	if err := os.Unsetenv(roleVariable); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// A server may print to os.Stdout, which must hold our one line alone.
	out := os.Stdout
	os.Stdout = os.Stderr
	if err := serve(raw, os.Stdin, out, roles); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(raw string, in io.Reader, out io.Writer, roles []Role) error {
	var wanted order
	if err := json.Unmarshal([]byte(raw), &wanted); err != nil {
		return fmt.Errorf("devstack: order: %w", err)
	}
	for _, role := range roles {
		if role.Name != wanted.Role {
			continue
		}
		s, err := role.Serve(wanted.Port, wanted.Options)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(ready{URL: s.URL()}); err != nil {
			return errors.Join(err, s.Close())
		}
		_, err = io.Copy(io.Discard, in)
		return errors.Join(err, s.Close())
	}
	return fmt.Errorf("devstack: this program has no role %q: name it in ServeIfAsked", wanted.Role)
}

// readReady waits for the child's line.
func readReady(out io.Reader) (ready, error) {
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return ready{}, fmt.Errorf("it ended before it was ready: %w", err)
	}
	var r ready
	if err := json.Unmarshal(line, &r); err != nil || r.URL == "" {
		return ready{}, errors.New("it does not call ServeIfAsked before anything else")
	}
	return r, nil
}
