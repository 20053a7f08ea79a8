package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Errors of this file name the part at fault and never quote it: a subject is
// written by whoever publishes, and may hold anything.
var (
	errToken   = errors.New("not an escaped destination: letters, digits and '-' stand for themselves, any other byte is '_' and two upper-case hex digits")
	errPrefix  = errors.New("a prefix is 1 to 32 lower-case letters, digits or '-' and starts with a letter")
	errSubject = errors.New("not a job's subject: <prefix>.jobs.<class>.<destination>")
	errClass   = errors.New("the class in a job's subject is live or backfill")
	errAddress = errors.New("the destination in a job's subject is not one a job can have")
	errFilter  = errors.New("the destination in a job's subject is a wildcard or no UTF-8: no consumer can be made for it alone")
)

const hexDigits = "0123456789ABCDEF"

// Token escapes an address to one subject token of [A-Za-z0-9_-], which is
// also a legal part of a consumer's or a key's name: letters, digits and '-'
// stand for themselves, and every other byte, '_' too, becomes '_' and two
// upper-case hex digits. Distinct addresses have distinct tokens. The token of
// "" is "", which is no token of a subject.
func Token(address string) string {
	var b strings.Builder
	for i := range len(address) {
		c := address[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('_')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

// ParseToken undoes Token. Only what Token writes is taken, so that one
// destination has one lane: "_2d" (lower case) and "_41" (a plain letter,
// escaped) are errors, as is "".
func ParseToken(token string) (string, error) {
	if token == "" {
		return "", errToken
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		if c != '_' || i+2 >= len(token) {
			return "", errToken
		}
		high, low := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
		if high < 0 || low < 0 || plain(byte(high<<4|low)) {
			return "", errToken
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), nil
}

func plain(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-'
}

// ValidAddress tells whether a slug or destination id is one that a job can
// name: 1 to 128 of [A-Za-z0-9._~-], not starting with '.', so that it is a
// path segment of a URL as it stands and never "." or "..".
func ValidAddress(address string) bool {
	if address == "" || len(address) > 128 || address[0] == '.' {
		return false
	}
	for i := range len(address) {
		if c := address[i]; !plain(c) && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return true
}

// Lane is the queue of one class and one destination.
type Lane struct {
	Class Class
	// Destination is the address itself, unescaped.
	Destination string
	// stray is the last token of the jobs' subject where it is not the token of
	// an address; empty for a proper lane.
	stray string
}

// Misaddressed is the Destination of every stray lane. It has the form of an
// address, as events demand, and says nothing of the subject, which may hold
// anything; slugs and ids of Redox do not start with '~'.
const Misaddressed = "~misaddressed"

// Stray tells whether the lane is that of a subject which belongs to no
// destination. No job belongs there; those that come are refused.
func (l Lane) Stray() bool { return l.stray != "" }

// Token is the destination as a subject token.
func (l Lane) Token() string { return Token(l.Destination) }

// Tail is the part of subjects that names the lane: "<class>.<destination>".
// Stray lanes of a class share theirs.
func (l Lane) Tail() string { return string(l.Class) + "." + l.Token() }

// Name is the lane in a name without dots, such as a durable consumer's:
// "<class>-<destination>", and "<class>-_x<hash of the token>" for a stray lane.
// No class holds a '-', and no token has an 'x' behind a '_', so lanes have
// distinct names.
func (l Lane) Name() string {
	if l.Stray() {
		sum := sha256.Sum256([]byte(l.stray))
		return string(l.Class) + "-_x" + hex.EncodeToString(sum[:])
	}
	return string(l.Class) + "-" + l.Token()
}

// JobSubject is where a lane's jobs are published: for a stray lane the subject
// as its publishers write it.
func JobSubject(prefix string, lane Lane) string {
	if lane.Stray() {
		return prefix + ".jobs." + string(lane.Class) + "." + lane.stray
	}
	return prefix + ".jobs." + lane.Tail()
}

// EventSubject is where an event of a lane's job is published.
func EventSubject(prefix string, lane Lane, status Status) string {
	return prefix + ".events." + lane.Tail() + "." + string(status)
}

// DeadSubject is where a lane's dead letters are kept.
func DeadSubject(prefix string, lane Lane) string { return prefix + ".dead." + lane.Tail() }

// LaterSubject holds the schedule of a job that waits: one per job, so that a
// newer schedule replaces the older.
func LaterSubject(prefix string, key JobKey) string { return prefix + ".later." + key.Tokens() }

// LaterSubjects matches the schedules of all jobs.
func LaterSubjects(prefix string) string { return prefix + ".later.*.*" }

// DueSubject is where a job is published that the server moves to its lane. Only
// workers and operators may publish there, so what such a copy says of itself is
// believed. A stray lane has none.
func DueSubject(prefix string, lane Lane) string { return prefix + ".due." + lane.Tail() }

// ParseJobSubject reads the lane out of a job's subject. An error means that
// no valid job can be meant: a wrong prefix, class or number of tokens, or a
// destination that is not escaped as Token does or not a ValidAddress.
func ParseJobSubject(prefix, subject string) (Lane, error) {
	class, token, err := cutSubject(prefix+".jobs.", subject)
	if err != nil {
		return Lane{}, err
	}
	address, err := ParseToken(token)
	if err != nil {
		return Lane{}, fmt.Errorf("the destination in a job's subject: %w", err)
	}
	if !ValidAddress(address) {
		return Lane{}, errAddress
	}
	return Lane{Class: class, Destination: address}, nil
}

// ServedLane is ParseJobSubject, but that a subject of the right shape which is
// no destination's gives a stray lane: the jobs on it can be taken, told of and
// buried. What is left as an error cannot be taken: what the filter of a
// consumer would read as a wildcard, and what is not UTF-8, which a filter cannot
// hold.
func ServedLane(prefix, subject string) (Lane, error) {
	lane, err := ParseJobSubject(prefix, subject)
	if err == nil {
		return lane, nil
	}
	class, token, shape := cutSubject(prefix+".jobs.", subject)
	switch {
	case shape != nil:
		return Lane{}, shape
	case token == "" || strings.Contains(token, "."):
		return Lane{}, err
	case token == "*" || strings.Contains(token, ">") || !utf8.ValidString(token) || strings.ContainsRune(token, utf8.RuneError):
		return Lane{}, errFilter
	}
	return Lane{Class: class, Destination: Misaddressed, stray: token}, nil
}

// cutSubject gives the class and the rest of a subject.
func cutSubject(start, subject string) (Class, string, error) {
	rest, ok := strings.CutPrefix(subject, start)
	if !ok {
		return "", "", errSubject
	}
	class, token, ok := strings.Cut(rest, ".")
	if !ok {
		return "", "", errSubject
	}
	if Class(class) != Live && Class(class) != Backfill {
		return "", "", errClass
	}
	return Class(class), token, nil
}

// ParseTail reads the lane out of its Tail.
func ParseTail(tail string) (Lane, error) { return ParseJobSubject("", ".jobs."+tail) }

// CheckPrefix holds a prefix to [a-z0-9-]{1,32} with a letter first. Streams
// carry it in capitals, so lower case alone keeps prefixes apart.
func CheckPrefix(prefix string) error {
	if prefix == "" || len(prefix) > 32 || prefix[0] < 'a' || prefix[0] > 'z' {
		return errPrefix
	}
	for i := range len(prefix) {
		if c := prefix[i]; !plain(c) || 'A' <= c && c <= 'Z' {
			return errPrefix
		}
	}
	return nil
}

// StreamName is the name of a stream or bucket of the deployment:
// StreamName("chartpost", "JOBS") is "CHARTPOST_JOBS".
func StreamName(prefix, name string) string { return strings.ToUpper(prefix) + "_" + name }
