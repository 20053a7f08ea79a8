package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/cli"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help adds to the command's --help.
func (completionCmd) Help() string {
	return `Put the line of your shell into its start-up file:

  bash:  source <(chartpost completion bash)
  zsh:   source <(chartpost completion zsh)
  fish:  chartpost completion fish | source`
}

// Run prints a script made of the commands and flags as they are; nothing is
// written by hand that could fall behind.
func (c completionCmd) Run(std cli.Streams, parser *kong.Kong) error {
	var out strings.Builder
	root := parser.Model.Node
	switch c.Shell {
	case "fish":
		fishScript(&out, root)
	case "zsh":
		fmt.Fprintln(&out, "autoload -U +X bashcompinit && bashcompinit")
		bashScript(&out, root)
	default:
		bashScript(&out, root)
	}
	_, err := io.WriteString(std.Out, out.String())
	return err
}

// bashScript finds the command by the words so far: where one completes a path of
// commands ("lane", "lane pause"), its own words are offered from there on.
func bashScript(w io.Writer, root *kong.Node) {
	fmt.Fprintf(w, "_%s() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= word words=\n", root.Name)
	fmt.Fprintf(w, "  local all=%q\n", strings.Join(append(commandNames(root), flagNames(root)...), " "))
	fmt.Fprintln(w, "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case $path$word in")
	bashCommands(w, root, root, "")
	fmt.Fprintln(w, "    esac\n  done\n  case $prev in")
	for _, f := range valueFlags(root) {
		fmt.Fprintf(w, "    --%s) words=%q ;;\n", f.Name, strings.TrimSpace(strings.Join(f.EnumSlice(), " ")))
	}
	fmt.Fprintf(w, "    --destination) words=$(%s names destinations 2>/dev/null) ;;\n", root.Name)
	fmt.Fprintln(w, "    *) words=${words:-$all} ;;\n  esac")
	// Asked for only where a name can stand, since it asks the deployment.
	fmt.Fprintln(w, "  case \"$path$prev,$cur\" in\n    *,-*) ;;")
	fmt.Fprintf(w, "    \"lane \"*\" live,\"*|\"lane \"*\" backfill,\"*|\"lane \"*\" both,\"*) words=$(%s names destinations 2>/dev/null) ;;\n", root.Name)
	fmt.Fprintf(w, "    \"dead show show,\"*|\"dead replay replay,\"*|\"dead resolve resolve,\"*|\"dead drop drop,\"*) words=$(%s names dead 2>/dev/null) ;;\n", root.Name)
	fmt.Fprintf(w, "    \"events unsubscribe unsubscribe,\"*|*\" --subscription,\"*) words=$(%s names subscriptions 2>/dev/null) ;;\n", root.Name)
	fmt.Fprintf(w, "    %s) words=$(%s names runs 2>/dev/null) ;;\n  esac\n", runArguments, root.Name)
	fmt.Fprintf(w, "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _%s %s\n", root.Name, root.Name)
}

func bashCommands(w io.Writer, root, parent *kong.Node, path string) {
	for _, command := range commands(parent) {
		words := append(commandNames(command), argumentValues(command)...)
		words = append(words, append(flagNames(root), flagNames(command)...)...)
		fmt.Fprintf(w, "      %q) path=%q words=%q ;;\n", path+command.Name, path+command.Name+" ", strings.Join(words, " "))
		bashCommands(w, root, command, path+command.Name+" ")
	}
}

func fishScript(w io.Writer, root *kong.Node) {
	for _, f := range root.Flags {
		fmt.Fprintf(w, "complete -c %s -l %s -d %s\n", root.Name, f.Name, quoted(f.Help))
	}
	fishCommands(w, root, root, "__fish_use_subcommand", "")
}

// fishCommands offers the commands of parent under a condition, and within each
// what it takes. seen is the condition that parent was given.
func fishCommands(w io.Writer, root, parent *kong.Node, condition, seen string) {
	for _, command := range commands(parent) {
		fmt.Fprintf(w, "complete -c %s -n %s -a %s -d %s\n", root.Name, quoted(condition), command.Name, quoted(command.Help))
		within := seen + "__fish_seen_subcommand_from " + command.Name
		for _, value := range argumentValues(command) {
			fmt.Fprintf(w, "complete -c %s -n %s -f -a %s\n", root.Name, quoted(within), value)
		}
		for _, p := range command.Positional {
			of := namesOf[p.Name]
			if p.Name == "name" && command.Parent != nil && command.Parent.Name == "backfill" {
				of = "runs"
			}
			if of != "" {
				fmt.Fprintf(w, "complete -c %s -n %s -f -a %s\n", root.Name, quoted(within), quoted("("+root.Name+" names "+of+" 2>/dev/null)"))
			}
		}
		for _, f := range command.Flags {
			fmt.Fprintf(w, "complete -c %s -n %s -l %s -d %s", root.Name, quoted(within), f.Name, quoted(f.Help))
			switch {
			case f.Enum != "":
				fmt.Fprintf(w, " -x -a %s", quoted(strings.TrimSpace(strings.Join(f.EnumSlice(), " "))))
			case f.Name == "destination":
				fmt.Fprintf(w, " -x -a %s", quoted("("+root.Name+" names destinations 2>/dev/null)"))
			}
			fmt.Fprintln(w)
		}
		names := strings.Join(commandNames(command), " ")
		fishCommands(w, root, command, within+"; and not __fish_seen_subcommand_from "+names, within+"; and ")
	}
}

// runArguments are where bash wants the name of a backfill run.
const runArguments = `"backfill status status,"*|"backfill pause pause,"*|"backfill resume resume,"*|"backfill cancel cancel,"*|"backfill report report,"*|"backfill forget forget,"*|"backfill "*" --id,"*`

// namesOf are the positional arguments that the deployment has names for.
var namesOf = map[string]string{"destination": "destinations", "subscription": "subscriptions"}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `\'`) + "'" }

func commands(root *kong.Node) []*kong.Node {
	var out []*kong.Node
	for _, child := range root.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			out = append(out, child)
		}
	}
	return out
}

func commandNames(root *kong.Node) []string {
	var out []string
	for _, c := range commands(root) {
		out = append(out, c.Name)
	}
	return out
}

func flagNames(n *kong.Node) []string {
	var out []string
	for _, f := range n.Flags {
		if !f.Hidden {
			out = append(out, "--"+f.Name)
		}
	}
	return out
}

// argumentValues are the values of positional arguments that have a fixed set.
func argumentValues(n *kong.Node) []string {
	var out []string
	for _, p := range n.Positional {
		if p.Enum != "" {
			out = append(out, p.EnumSlice()...)
		}
	}
	return out
}

// valueFlags are the flags, of any command, that take one of a fixed set.
func valueFlags(root *kong.Node) []*kong.Flag {
	seen := map[string]bool{}
	var out []*kong.Flag
	cli.EachFlag(root, func(f *kong.Flag) {
		if f.Enum != "" && !seen[f.Name] {
			seen[f.Name] = true
			out = append(out, f)
		}
	})
	return out
}
