// Package markup joins the parsed parts of templates: it takes from a set of
// definitions those that one entry needs, and puts what a definition calls in
// place of the call.
//
// A page's layout, its icons and its words are definitions of one set, and every
// page of every language is a set of its own, because html/template writes the
// escaping of a context into the tree. A set that holds only what its page needs
// takes a third of the memory, and a tree without calls renders faster.
//
// It must not parse, escape or execute: text/template and html/template do.
package markup

import (
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// HTML adds to a template what the entries need of a parsed set that was not
// executed, and returns the first entry. The set cannot be used afterwards.
func HTML(into, set *htmltemplate.Template, entries ...string) (*htmltemplate.Template, error) {
	err := addJoined(entries, func(name string) *parse.Tree {
		if t := set.Lookup(name); t != nil {
			return t.Tree
		}
		return nil
	}, func(name string, tree *parse.Tree) error { _, err := into.AddParseTree(name, tree); return err })
	if err != nil {
		return nil, err
	}
	return into.Lookup(entries[0]), nil
}

// Text is HTML for plain text.
func Text(into, set *template.Template, entries ...string) (*template.Template, error) {
	err := addJoined(entries, func(name string) *parse.Tree {
		if t := set.Lookup(name); t != nil {
			return t.Tree
		}
		return nil
	}, func(name string, tree *parse.Tree) error { _, err := into.AddParseTree(name, tree); return err })
	if err != nil {
		return nil, err
	}
	return into.Lookup(entries[0]), nil
}

// addJoined adds the joined trees that the entries need. The first entry must be
// defined.
func addJoined(entries []string, find func(name string) *parse.Tree, add func(name string, tree *parse.Tree) error) error {
	trees := join(find, entries)
	for name, tree := range trees {
		if err := add(name, tree); err != nil {
			return fmt.Errorf("join %s: %w", name, err)
		}
	}
	if trees[entries[0]] == nil {
		return fmt.Errorf("no template %q is defined", entries[0])
	}
	return nil
}

// join returns the trees that the entries need, by name. find returns the tree of
// a definition, nil when there is none. join changes these trees.
//
// A call is replaced by the nodes it calls if they render the same in its place:
// they are text only, or the call passes the dot on and they use no variable.
// Other calls stay, and with them the trees they name.
func join(find func(name string) *parse.Tree, entries []string) map[string]*parse.Tree {
	j := joiner{find: find, joined: map[string]*parse.Tree{}}
	for _, name := range entries {
		j.join(name)
	}
	needed := map[string]*parse.Tree{}
	for _, name := range entries {
		j.collect(name, needed)
	}
	return needed
}

type joiner struct {
	find   func(name string) *parse.Tree
	joined map[string]*parse.Tree // nil while a tree is being joined, and for a missing one
}

// join joins a definition and those it calls. It returns nil for a missing
// definition and for one that calls itself.
func (j *joiner) join(name string) *parse.Tree {
	if tree, known := j.joined[name]; known {
		return tree
	}
	j.joined[name] = nil
	tree := j.find(name)
	if tree == nil || tree.Root == nil {
		return nil
	}
	j.joinList(tree.Root)
	j.joined[name] = tree
	return tree
}

func (j *joiner) joinList(list *parse.ListNode) {
	if list == nil {
		return
	}
	var nodes []parse.Node
	for _, n := range list.Nodes {
		if call, ok := n.(*parse.TemplateNode); ok {
			if called := j.join(call.Name); called != nil && canReplace(call, called.Root) {
				for _, n := range called.Root.CopyList().Nodes {
					nodes = appendNode(nodes, n)
				}
				continue
			}
		}
		for _, branch := range branches(n) {
			j.joinList(branch)
		}
		nodes = appendNode(nodes, n)
	}
	list.Nodes = slices.Clip(nodes)
}

// appendNode appends a node, and to a text the text that follows it.
func appendNode(nodes []parse.Node, n parse.Node) []parse.Node {
	text, ok := n.(*parse.TextNode)
	if ok && len(nodes) > 0 {
		if before, ok := nodes[len(nodes)-1].(*parse.TextNode); ok {
			joined := before.Copy().(*parse.TextNode)
			joined.Text = slices.Concat(before.Text, text.Text)
			nodes[len(nodes)-1] = joined
			return nodes
		}
	}
	return append(nodes, n)
}

// branches returns the lists of nodes inside a node.
func branches(n parse.Node) []*parse.ListNode {
	switch n := n.(type) {
	case *parse.IfNode:
		return []*parse.ListNode{n.List, n.ElseList}
	case *parse.RangeNode:
		return []*parse.ListNode{n.List, n.ElseList}
	case *parse.WithNode:
		return []*parse.ListNode{n.List, n.ElseList}
	}
	return nil
}

// canReplace reports whether the nodes render the same in place of the call.
func canReplace(call *parse.TemplateNode, list *parse.ListNode) bool {
	passesDot := call.Pipe != nil && call.Pipe.String() == "."
	return isText(list) && (call.Pipe == nil || passesDot) || passesDot && !usesVariable(list)
}

func isText(list *parse.ListNode) bool {
	return !slices.ContainsFunc(list.Nodes, func(n parse.Node) bool { return n.Type() != parse.NodeText })
}

// usesVariable reports whether a pipeline in the list has a $: a variable, which
// is another one in the caller, or a text with this sign.
func usesVariable(list *parse.ListNode) bool {
	if list == nil {
		return false
	}
	return slices.ContainsFunc(list.Nodes, func(n parse.Node) bool {
		return strings.Contains(pipeline(n), "$") || slices.ContainsFunc(branches(n), usesVariable)
	})
}

// pipeline returns the source of a node's pipeline, "" for a node without one.
func pipeline(n parse.Node) string {
	var pipe *parse.PipeNode
	switch n := n.(type) {
	case *parse.ActionNode:
		pipe = n.Pipe
	case *parse.TemplateNode:
		pipe = n.Pipe
	case *parse.IfNode:
		pipe = n.Pipe
	case *parse.RangeNode:
		pipe = n.Pipe
	case *parse.WithNode:
		pipe = n.Pipe
	}
	if pipe == nil {
		return ""
	}
	return pipe.String()
}

// collect adds a definition, and those that its remaining calls name.
func (j *joiner) collect(name string, needed map[string]*parse.Tree) {
	tree := j.find(name)
	if tree == nil || needed[name] != nil {
		return
	}
	needed[name] = tree
	for call := range calls(tree.Root, map[string]bool{}) {
		j.collect(call, needed)
	}
}

func calls(list *parse.ListNode, names map[string]bool) map[string]bool {
	if list == nil {
		return names
	}
	for _, n := range list.Nodes {
		if call, ok := n.(*parse.TemplateNode); ok {
			names[call.Name] = true
		}
		for _, branch := range branches(n) {
			calls(branch, names)
		}
	}
	return names
}
