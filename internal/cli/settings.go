package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
)

// Settings give flags that the command line leaves open their value: from the
// environment, else from the YAML file. They collect what cannot be understood
// instead of stopping at the first, so that a person can fix all in one go.
type Settings struct {
	// Faults are what could not be understood.
	Faults []error

	file   map[string]setting
	loaded bool
	// unread tells that the file could not be read: what it would have said is
	// missing everywhere.
	unread bool
}

// prepare puts a collector before each flag's decoder. Kong's own handling of
// variables is not used: it lets a file win over them.
func (s *Settings) prepare(k *kong.Kong) error {
	EachFlag(k.Model.Node, func(f *kong.Flag) {
		if f.Name != "help" {
			f.Mapper = collector{decode: f.Mapper, into: s}
		}
	})
	return nil
}

// EachFlag calls do for the flags of a command and of the commands below it.
func EachFlag(n *kong.Node, do func(*kong.Flag)) {
	for _, f := range n.Flags {
		do(f)
	}
	for _, child := range n.Children {
		EachFlag(child, do)
	}
}

// loadNamed is kong's hook between the command line and the other sources. Kong calls it
// for each command of the path; the first call does the work.
func (s *Settings) loadNamed(k *kong.Context) error {
	if s.loaded {
		return nil
	}
	s.loaded = true
	for _, f := range k.Model.Flags {
		if path, ok := k.FlagValue(f).(string); ok && f.Name == "config" {
			s.load(path, k.Model.Node)
		}
	}
	k.AddResolver(s)
	return nil
}

// load reads the YAML file, if one is named, and refuses keys that no flag of
// any command has: they are most likely misspelled.
func (s *Settings) load(path string, root *kong.Node) {
	if path == "" {
		path = os.Getenv(app.EnvironmentName("config"))
	}
	if path == "" {
		return
	}
	var faults []error
	s.file, faults = readYAML(kong.ExpandPath(path))
	s.Faults = append(s.Faults, faults...)
	s.unread = s.file == nil && len(faults) > 0
	flags, settings := map[string]bool{}, map[string]bool{}
	EachFlag(root, func(f *kong.Flag) {
		flags[f.Name] = f.Name != "help" && f.Name != "config"
		settings[f.Name] = settings[f.Name] || flags[f.Name] && !PerCall(f)
	})
	for _, key := range slices.Sorted(maps.Keys(s.file)) {
		switch {
		case settings[key]:
		case flags[key]:
			s.Faults = append(s.Faults, fmt.Errorf("%s: is decided for each call: remove the key and write --%s where it is wanted", s.file[key].origin, key))
		default:
			s.Faults = append(s.Faults, fmt.Errorf("%s: is no setting; the keys are the names of the flags, without --", s.file[key].origin))
		}
	}
}

// PerCall reports whether a flag is decided for each call: what a command acts on, what
// it is allowed to do, and why. Neither a variable nor the file sets such a flag, so that
// a forgotten one does not, for example, drop all dead letters without a question.
func PerCall(f *kong.Flag) bool { return f.Tag.Has("percall") }

// Validate implements kong.Resolver; load has done it.
func (s *Settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. An empty variable counts as none, because that is
// what templates make of a value that is not there.
func (s *Settings) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	if PerCall(f) {
		return nil, nil
	}
	if text := os.Getenv(app.EnvironmentName(f.Name)); text != "" {
		return setting{text: text, origin: app.EnvironmentName(f.Name)}, nil
	}
	if found, ok := s.file[f.Name]; ok {
		return found, nil
	}
	return nil, nil
}

// collector decodes a flag's value. A value that cannot be understood is noted,
// and the default stands in for it, so that what follows finds more faults and
// no false ones.
type collector struct {
	decode kong.Mapper
	into   *Settings
}

// Decode implements kong.Mapper.
func (c collector) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	flag, origin := ctx.Value.Flag, "--"+ctx.Value.Name
	next := ctx.Scan.Peek()
	found, resolved := next.Value.(setting)
	if !resolved && !ctx.Value.IsBool() && (next.IsEOL() || !next.IsValue()) {
		return fmt.Errorf("needs a value; one that starts with a hyphen is written %s=-…", origin)
	}
	text, decode := next.String(), func() error { return c.decode.Decode(ctx, target) }
	if resolved {
		ctx.Scan.Pop()
		origin, text = found.origin, found.text
		decode = func() error { return c.decodeFound(ctx, found, target) }
	}
	err := decode()
	if err == nil && allowed(flag, target) {
		return nil
	}
	c.into.Faults = append(c.into.Faults, fmt.Errorf("%s: %s", origin, complaint(flag, text, err)))
	if !flag.HasDefault {
		target.SetZero() // what was refused is not to be complained of twice
		return nil
	}
	return c.decodeText(ctx, flag.Default, target)
}

// allowed tells whether a value, or each of a list, is one of the flag's fixed set.
func allowed(flag *kong.Flag, target reflect.Value) bool {
	if flag.Enum == "" {
		return true
	}
	if target.Kind() != reflect.Slice {
		return slices.Contains(flag.EnumSlice(), target.String())
	}
	for i := range target.Len() {
		if !slices.Contains(flag.EnumSlice(), target.Index(i).String()) {
			return false
		}
	}
	return true
}

var errList = errors.New("must be one value, not a list")

// decodeFound decodes what the environment or the file says.
func (c collector) decodeFound(ctx *kong.DecodeContext, found setting, target reflect.Value) error {
	if found.list == nil {
		return c.decodeText(ctx, found.text, target)
	}
	if !ctx.Value.IsCumulative() {
		return errList
	}
	for _, one := range found.list {
		if sep := ctx.Value.Tag.Sep; sep != -1 {
			one = kong.JoinEscaped([]string{one}, sep)
		}
		if err := c.decodeText(ctx, one, target); err != nil {
			return err
		}
	}
	return nil
}

func (c collector) decodeText(ctx *kong.DecodeContext, text string, target reflect.Value) error {
	return c.decode.Decode(ctx.WithScanner(kong.ScanFromTokens(kong.Token{Value: text, Type: kong.FlagValueToken})), target)
}

// complaint says what a flag takes and, unless it can be about a patient, what
// it was given.
func complaint(flag *kong.Flag, text string, err error) string {
	if errors.Is(err, errList) {
		return err.Error()
	}
	given := fmt.Sprintf(", not %q", text)
	if flag.Group != nil && flag.Group.Key == JobGroup {
		given = ""
	}
	switch flag.Target.Interface().(type) {
	case time.Duration:
		return "must be a length of time like 30s, 10m or 72h" + given
	case map[string]string:
		return "must look like KEY=VALUE"
	}
	switch kind := flag.Target.Kind(); {
	case flag.Enum != "":
		return "must be " + Alternatives(slices.DeleteFunc(flag.EnumSlice(), func(s string) bool { return s == "" })) + given
	case flag.IsBool():
		return "must be true or false" + given
	case kind == reflect.Int || kind == reflect.Int64:
		return "must be a whole number" + given
	}
	return Cause(err).Error()
}

// Alternatives is "a, b or c".
func Alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// surplus tells of an argument too many without its value: often a part of a
// file's name that has a blank, and that can name a patient. A command that was
// misspelled keeps what it resembles.
func surplus(err error, args []string) error {
	if err == nil {
		return nil
	}
	for i, arg := range args {
		if err.Error() == "unexpected argument "+arg {
			return fmt.Errorf("argument %d is one too many; a name with blanks needs quotes", i+1)
		}
	}
	// The empty word of an optional argument is no choice of a person's.
	if before, after, found := strings.Cut(err.Error(), ` must be one of "",`); found {
		return errors.New(before + " must be one of " + after)
	}
	return err
}

// further are the faults of err, without those of a flag of which a fault is told already: a
// value that was refused is not there for what looks at it later.
func further(told []error, err error) (more []error) {
	for _, fault := range separate(err) {
		flag := subject(fault)
		if !slices.ContainsFunc(told, func(e error) bool { return e != nil && subject(e) == flag }) {
			more = append(more, fault)
		}
	}
	return more
}

// subject is what a fault is of: its first word.
func subject(fault error) string {
	word, _, _ := strings.Cut(fault.Error(), " ")
	return strings.TrimSuffix(word, ":")
}

// separate takes apart what errors.Join has joined.
func separate(err error) (all []error) {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	for _, one := range joined.Unwrap() {
		all = append(all, separate(one)...)
	}
	return all
}

// JobGroup is the heading of the flags that make a job. What they are given may
// be about a patient and is not repeated in messages.
const JobGroup = "Job"
