package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/cmd/chartpost/backfill"
	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
)

var update = flag.Bool("update", false, "write docs/configuration.md and the scripts' expectations anew")

// flagsOf are all flags but --help, in the order of the help, with the commands
// that have them. What a command's own commands have counts as the command's.
func flagsOf(t *testing.T) (list []*kong.Flag, commands map[string][]string) {
	t.Helper()
	parser, _, err := new(CLI).commandLine().Parser()
	if err != nil {
		t.Fatal(err)
	}
	commands = map[string][]string{}
	note := func(command string) func(*kong.Flag) {
		return func(f *kong.Flag) {
			if f.Name == "help" || slices.Contains(commands[f.Name], command) {
				return
			}
			if commands[f.Name] == nil {
				list = append(list, f)
			}
			commands[f.Name] = append(commands[f.Name], command)
		}
	}
	for _, f := range parser.Model.Node.Flags {
		note(parser.Model.Node.Name)(f)
	}
	for _, node := range parser.Model.Children {
		if !node.Hidden {
			cli.EachFlag(node, note(node.Name))
		}
	}
	return list, commands
}

// settingsOf are the flags that a variable sets, each as "command flag".
func settingsOf(t *testing.T) map[string]bool {
	t.Helper()
	parser, _, err := new(CLI).commandLine().Parser()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	note := func(command string) func(*kong.Flag) {
		return func(f *kong.Flag) {
			if f.Name != "help" && !cli.PerCall(f) {
				all[command+" "+f.Name] = true
			}
		}
	}
	for _, f := range parser.Model.Node.Flags {
		note(parser.Model.Node.Name)(f)
	}
	for _, node := range parser.Model.Children {
		cli.EachFlag(node, note(node.Name))
	}
	return all
}

// The variables are a contract: deployments name them.
func TestVariables(t *testing.T) {
	list, _ := flagsOf(t)
	var names []string
	for _, f := range list {
		names = append(names, app.EnvironmentName(f.Name))
	}
	for _, want := range strings.Fields(`NATS_URL NATS_CREDS NATS_TLS_CA PREFIX REPLICAS S3_ENDPOINT S3_REGION S3_PATH_STYLE S3_BUCKETS
		REDOX_ENVIRONMENT REDOX_API_URL REDOX_TOKEN_URL REDOX_TOKEN_AUDIENCE REDOX_BLOB_URL REDOX_BLOB_HOSTS REDOX_CLIENT_ID REDOX_KEY_FILE
		REDOX_KEY_ID REDOX_SOURCE_ID CONCURRENCY LANE_CONCURRENCY EMBED_LIMIT FILE_LIMIT ON_UNKNOWN`) {
		if !slices.Contains(names, "CHARTPOST_"+want) {
			t.Errorf("no flag has the variable CHARTPOST_%s", want)
		}
	}
}

// Every setting is set by its variable in every command that has it, and no flag that is
// decided for each call: with all decoders refusing everything, each variable that is
// read is complained of by its name.
func TestEveryVariableIsRead(t *testing.T) {
	list, _ := flagsOf(t)
	settings := settingsOf(t)
	for _, f := range list {
		t.Setenv(app.EnvironmentName(f.Name), "not for "+f.Name)
	}
	t.Setenv("CHARTPOST_CONFIG", "")
	for _, command := range []string{"setup", "worker", "send", "preview", "check", "version"} {
		refuse := kong.PostBuild(func(k *kong.Kong) error {
			cli.EachFlag(k.Model.Node, func(f *kong.Flag) { f.Mapper = refuser{f.Mapper} })
			return nil
		})
		parser, s, err := new(CLI).commandLine().Parser(refuse)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse([]string{command}); err != nil {
			t.Fatal(err)
		}
		faults := errors.Join(s.Faults...).Error()
		for _, f := range list {
			variable := app.EnvironmentName(f.Name)
			ours := settings[command+" "+f.Name] || settings["chartpost "+f.Name] && f.Name != "config"
			if said := strings.Contains("\n"+faults, "\n"+variable+": "); said != ours {
				t.Errorf("%s: %s is read: %v, and should be: %v", command, variable, said, ours)
			}
		}
	}
}

// TestHelp reads all help as on a terminal of 80 columns.
func TestHelp(t *testing.T) {
	parser, _, err := new(CLI).commandLine().Parser()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range commandsOf(parser.Model.Node, []string{}) {
		var out, errs bytes.Buffer
		t.Setenv("COLUMNS", "80")
		if code := run(t.Context(), append(args, "--help"), cli.Streams{Out: &out, Err: &errs}); code != 0 || errs.Len() > 0 {
			t.Errorf("%v: exit code %d, %s", args, code, errs.String())
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%v: a line of more than 80 columns: %s", args, line)
			}
		}
		for _, word := range []string{"context-sensitive\n", "…,...", "S_3"} {
			if strings.Contains(out.String(), word) {
				t.Errorf("%v: the help has %q", args, word)
			}
		}
	}
}

// commandsOf gives a command and all below it that are not hidden.
func commandsOf(node *kong.Node, path []string) [][]string {
	all := [][]string{path}
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(all, commandsOf(child, append(slices.Clone(path), child.Name))...)
		}
	}
	return all
}

func TestEveryFlagHasHelp(t *testing.T) {
	list, _ := flagsOf(t)
	for _, f := range list {
		if f.OrigHelp == "" || !strings.HasSuffix(f.OrigHelp, ".") {
			t.Errorf("--%s: the help %q is no sentence", f.Name, f.OrigHelp)
		}
		if strings.ContainsAny(f.Name, "_ABCDEFGHIJKLMNOPQRSTUVWXYZ") || strings.Contains(f.Name, "-3") {
			t.Errorf("--%s is an odd name", f.Name)
		}
	}
}

const configurationFile = "../../docs/configuration.md"

// TestConfigurationIsDocumented keeps docs/configuration.md current; run it
// with -update to write the file.
func TestConfigurationIsDocumented(t *testing.T) {
	want := configurationPage(t)
	if *update {
		if err := os.WriteFile(configurationFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configurationFile)
	if err != nil || string(got) != want {
		t.Errorf("%s is not current (%v): go test ./cmd/chartpost -run TestConfigurationIsDocumented -update", configurationFile, err)
	}
}

func configurationPage(t *testing.T) string {
	var b strings.Builder
	b.WriteString(configurationHead)
	list, commands := flagsOf(t)
	var groups []string
	rows := map[string][]*kong.Flag{}
	for _, f := range list {
		group := "General"
		if f.Group != nil {
			group = f.Group.Title
		}
		// What describes a manifest, and how a command prints: the help has it.
		if cli.PerCall(f) || slices.Contains([]string{"class", "wait", "json", "quick", "faults"}, f.Name) || group == backfill.ManifestGroup {
			continue
		}
		if f.Name == "redox-environment" || f.Name == "redox-source-id" {
			group = "Redox"
		}
		if f.Name == "embed-limit" || f.Name == "file-limit" {
			group = "Delivery"
		}
		if rows[group] == nil {
			groups = append(groups, group)
		}
		rows[group] = append(rows[group], f)
	}
	for _, group := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| flag | variable | YAML key | default | meaning |\n|---|---|---|---|---|\n", group)
		for _, f := range rows[group] {
			key := "`" + f.Name + "`"
			if f.Name == "config" {
				key = ""
			}
			fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s | %s %s |\n", f.Name, app.EnvironmentName(f.Name), key, standard(f),
				strings.ReplaceAll(f.OrigHelp, "|", `\|`), readBy(commands[f.Name]))
		}
	}
	return b.String()
}

func standard(f *kong.Flag) string {
	if f.Default == "" {
		return ""
	}
	return "`" + f.Default + "`"
}

func readBy(commands []string) string {
	if slices.Equal(commands, []string{"chartpost"}) {
		return "*all*"
	}
	return "*" + strings.Join(commands, ", ") + "*"
}

const configurationHead = `# Configuration

Each setting is a flag, an environment variable and a key of a YAML file. A flag goes before its variable, the
variable before the file; an empty variable counts as none. The file is named by ` + "`--config`" + ` or ` + "`CHARTPOST_CONFIG`" + `.

In the file, maps may be nested at any hyphen and ` + "`_`" + ` is as good as ` + "`-`" + `. These three are the same:

` + "```yaml" + `
nats-url: nats://nats.internal:4222
nats_url: nats://nats.internal:4222
nats:
  url: nats://nats.internal:4222
` + "```" + `

A list may be written as a YAML list, or with commas. Lengths of time look like ` + "`30s`, `10m` or `72h`" + `. A key that is no
setting is an error, and everything that is wrong is told at once. ` + "`chartpost check`" + ` tries a configuration.

Secrets have no setting of their own: keys and credentials are files that a setting names, and S3 credentials come by the
AWS SDK's own chain (environment, shared files, container or instance role).

Some flags are decided for each call: what a command acts on, what it may do, and why. Examples
are ` + "`--yes`, `--all`, `--reason` and `--dry-run`" + `. Neither a variable nor the file sets them. A file that
has such a key is refused. They are left out here. So are flags that describe a manifest, or say
what a command prints. The ` + "`--help`" + ` of each command has these.

The words in italics at the end of a line are the commands that read the setting. This page is made from the flags
themselves by a test of ` + "`cmd/chartpost`" + `.
`

// refuser is a decoder that takes nothing of the environment.
type refuser struct{ decode kong.Mapper }

func (r refuser) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if text := ctx.Scan.Peek().String(); !strings.HasPrefix(text, "not for ") {
		return r.decode.Decode(ctx, target)
	}
	ctx.Scan.Pop()
	return errors.New("refused")
}
