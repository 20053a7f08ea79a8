package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
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
func (c completionCmd) Run(std streams, parser *kong.Kong) error {
	root := parser.Model.Node
	switch c.Shell {
	case "fish":
		fishScript(std.out, root)
	case "zsh":
		fmt.Fprintln(std.out, "autoload -U +X bashcompinit && bashcompinit")
		bashScript(std.out, root)
	default:
		bashScript(std.out, root)
	}
	return nil
}

func bashScript(w io.Writer, root *kong.Node) {
	fmt.Fprintf(w, "_%s() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} word words=\n", root.Name)
	fmt.Fprintf(w, "  local all=%q\n", strings.Join(append(commandNames(root), flagNames(root)...), " "))
	fmt.Fprintln(w, "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case $word in")
	for _, command := range commands(root) {
		fmt.Fprintf(w, "      %s) words=%q ;;\n", command.Name, strings.Join(append(argumentValues(command), append(flagNames(root), flagNames(command)...)...), " "))
	}
	fmt.Fprintln(w, "    esac\n  done\n  case $prev in")
	for _, f := range valueFlags(root) {
		fmt.Fprintf(w, "    --%s) words=%q ;;\n", f.Name, strings.Join(f.EnumSlice(), " "))
	}
	fmt.Fprintln(w, "    *) words=${words:-$all} ;;\n  esac")
	fmt.Fprintf(w, "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _%s %s\n", root.Name, root.Name)
}

func fishScript(w io.Writer, root *kong.Node) {
	for _, f := range root.Flags {
		fmt.Fprintf(w, "complete -c %s -l %s -d %s\n", root.Name, f.Name, quoted(f.Help))
	}
	for _, command := range commands(root) {
		fmt.Fprintf(w, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", root.Name, command.Name, quoted(command.Help))
		within := quoted("__fish_seen_subcommand_from " + command.Name)
		for _, value := range argumentValues(command) {
			fmt.Fprintf(w, "complete -c %s -n %s -f -a %s\n", root.Name, within, value)
		}
		for _, f := range command.Flags {
			fmt.Fprintf(w, "complete -c %s -n %s -l %s -d %s", root.Name, within, f.Name, quoted(f.Help))
			if f.Enum != "" {
				fmt.Fprintf(w, " -x -a %s", quoted(strings.Join(f.EnumSlice(), " ")))
			}
			fmt.Fprintln(w)
		}
	}
}

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
	for _, n := range append([]*kong.Node{root}, commands(root)...) {
		for _, f := range n.Flags {
			if f.Enum != "" && !seen[f.Name] {
				seen[f.Name] = true
				out = append(out, f)
			}
		}
	}
	return out
}
