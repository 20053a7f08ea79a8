package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// commandsIn finds the commands of the program in a page: those in blocks of code, a line
// each or several joined by a backslash, and those between backquotes.
func commandsIn(page string) []string {
	var found []string
	add := func(text string) {
		for _, one := range regexp.MustCompile(`(?:^|[\s$(|;])(?:bin/|\./)?chartpost((?: +[^|;&<>()#\n]+)?)`).FindAllStringSubmatch(text, -1) {
			found = append(found, strings.TrimSpace(one[1]))
		}
	}
	blocks := strings.Split(page, "```")
	for i, block := range blocks {
		if i%2 == 1 {
			kind, text, _ := strings.Cut(block, "\n")
			if kind == "sh" || kind == "console" {
				add(strings.ReplaceAll(text, "\\\n", " "))
			}
			continue
		}
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(strings.ReplaceAll(block, "\n", " "), -1) {
			if strings.HasPrefix(span[1], "chartpost ") || strings.HasPrefix(span[1], "bin/chartpost ") {
				add(span[1])
			}
		}
	}
	return found
}

// unknownIn gives the first word of a command that the program does not know: a command,
// or a flag of it. Arguments and the values of flags are not judged.
func unknownIn(model *kong.Application, command string) string {
	node, inArguments := model.Node, false
	for _, word := range strings.Fields(command) {
		word = strings.Trim(word, `[]"'`)
		if word == "…" {
			return ""
		}
		switch name, isFlag := strings.CutPrefix(word, "--"); {
		case isFlag:
			name, _, _ = strings.Cut(name, "=")
			if name != "" && !hasFlag(node, name) {
				return word
			}
		case !inArguments && len(node.Children) > 0:
			child := childOf(node, word)
			if child == nil {
				return word
			}
			node = child
		default:
			inArguments = true
		}
	}
	return ""
}

func hasFlag(node *kong.Node, name string) bool {
	for ; node != nil; node = node.Parent {
		for _, f := range node.Flags {
			if f.Name == name || f.Tag.Negatable != "" && "no-"+f.Name == name {
				return true
			}
		}
	}
	return false
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// TestDocumentedCommandsExist: every command that a page names is one of the program, with
// flags that it has.
func TestDocumentedCommandsExist(t *testing.T) {
	parser, _, err := new(CLI).commandLine().Parser()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, "../../README.md", "../../CONTRIBUTING.md")
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			if !json.Valid([]byte(block[1])) {
				t.Errorf("%s: this is no JSON:\n%s", filepath.Base(page), block[1])
			}
		}
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			var into any
			if err := yaml.Unmarshal([]byte(block[1]), &into); err != nil || into == nil {
				t.Errorf("%s: this is no YAML: %v\n%s", filepath.Base(page), err, block[1])
			}
		}
		for _, command := range commandsIn(string(text)) {
			seen++
			if word := unknownIn(parser.Model, command); word != "" {
				t.Errorf("%s: chartpost %s: there is no %s", filepath.Base(page), command, word)
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d commands were found", seen)
	}
}

// TestUnknownCommandsAreFound: what the pages are searched for is what is wrong.
func TestUnknownCommandsAreFound(t *testing.T) {
	parser, _, err := new(CLI).commandLine().Parser()
	if err != nil {
		t.Fatal(err)
	}
	page := "```sh\nx=$(chartpost status JOB --json) | chartpost lane puase\nchartpost dead \\\n  list\n```\n`chartpost lane ls --al` and `chartpost top --once`"
	var unknown []string
	for _, command := range commandsIn(page) {
		if word := unknownIn(parser.Model, command); word != "" {
			unknown = append(unknown, word)
		}
	}
	if got := strings.Join(unknown, " "); got != "puase list --al" {
		t.Errorf("found %q", got)
	}
}
