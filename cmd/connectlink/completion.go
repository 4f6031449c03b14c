package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command to explain."`
}

// Run prints the help of a command, as --help does.
func (c *helpCommand) Run(e *env) error {
	if code := runCommand(*e, append(slices.Clone(c.Command), "--help")); code != exitOK {
		return &exitError{code, errors.New("there is no such command")}
	}
	return nil
}

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown by completion --help.
func (completionCommand) Help() string {
	return "bash: source <(connectlink completion bash), in ~/.bashrc.\n\nzsh: source <(connectlink completion zsh), in ~/.zshrc after compinit.\n\n" +
		"fish: connectlink completion fish | source, in ~/.config/fish/config.fish."
}

// Run prints the script. The scripts ask the program itself for the words.
func (c *completionCommand) Run(e *env) error {
	script := map[string]string{
		"bash": `_connectlink() {
  local IFS=$'\n'
  COMPREPLY=($(connectlink complete-words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _connectlink connectlink
`,
		"zsh": `_connectlink() {
  compadd -- ${(f)"$(connectlink complete-words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}
}
compdef _connectlink connectlink
`,
		"fish": `complete -c connectlink -f -a '(connectlink complete-words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
	}[c.Shell]
	_, err := fmt.Fprint(e.stdout, script)
	return err
}

// completeWordsCommand is what the scripts call.
type completeWordsCommand struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints the words that the last word can become, one a line.
func (c *completeWordsCommand) Run(e *env, k *kong.Kong) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	completed := completeWords(k.Model.Node, words)
	if wantsProfile(words) {
		completed = slices.DeleteFunc(completeProfiles(), func(name string) bool { return !strings.HasPrefix(name, words[len(words)-1]) })
	}
	for _, w := range completed {
		if _, err := fmt.Fprintln(e.stdout, w); err != nil {
			return err
		}
	}
	return nil
}

// wantsProfile reports whether the last word names a profile.
func wantsProfile(words []string) bool {
	n := len(words)
	return n >= 2 && words[n-2] == "--profile" || n == 3 && words[0] == "profiles" && words[1] == "use"
}

func completeWords(node *kong.Node, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	last := words[len(words)-1]
	for _, w := range words[:len(words)-1] {
		i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == w })
		if i >= 0 {
			node = node.Children[i]
		}
	}
	var all []string
	if strings.HasPrefix(last, "-") {
		for _, group := range node.AllFlags(true) {
			for _, f := range group {
				all = append(all, "--"+f.Name)
			}
		}
	} else {
		for _, c := range node.Children {
			if !c.Hidden {
				all = append(all, c.Name)
			}
		}
		for _, p := range node.Positional {
			all = append(all, p.EnumSlice()...)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(w string) bool { return w == "" || !strings.HasPrefix(w, last) })
}
