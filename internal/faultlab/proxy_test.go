package faultlab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// echo is a server that says back what it hears.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// says tells whether a word comes back; wait bounds it.
func says(c net.Conn, word string, wait time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, word); err != nil {
		return err
	}
	heard := make([]byte, len(word))
	if _, err := io.ReadFull(c, heard); err != nil {
		return err
	}
	if string(heard) != word {
		return errors.New("another word came back")
	}
	return nil
}

func TestProxy(t *testing.T) {
	p, err := NewProxy(fmt.Sprintf("127.0.0.1:%d", devtest.Port(t)), echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", p.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first := dial()
	if err := says(first, "passes", patience); err != nil {
		t.Fatal(err)
	}
	if err := p.Hang(); err != nil {
		t.Fatal(err)
	}
	// A short wait can only be too generous here, never fail on a slow machine.
	var timeout net.Error
	for _, c := range []net.Conn{first, dial()} {
		if err := says(c, "hangs", 50*time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("in silence: %v", err)
		}
	}
	if err := p.Pass(); err != nil {
		t.Fatal(err)
	}
	if err := says(first, "held", patience); err == nil {
		t.Error("what was held in silence goes on")
	}
	second := dial()
	if err := says(second, "passes again", patience); err != nil {
		t.Fatal(err)
	}
	if err := p.Refuse(); err != nil {
		t.Fatal(err)
	}
	if err := says(second, "cut", patience); err == nil {
		t.Error("a connection outlives the refusal")
	}
	if _, err := net.Dial("tcp", p.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refusing: %v", err)
	}
	if err := p.Pass(); err != nil {
		t.Fatal(err)
	}
	if err := says(dial(), "and again", patience); err != nil {
		t.Error(err)
	}
}
