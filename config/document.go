package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/v2"
)

// document reads the YAML file: what concerns the process, and the list of
// projects, nil when it has none. Unknown keys are faults.
func (l *loader) document() (map[string]any, []map[string]any) {
	if l.src.File == "" {
		return nil, nil
	}
	raw, err := l.src.ReadFile(l.src.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.faults.add(l.src.File, "there is no such file")
		return nil, nil
	case err != nil:
		l.faults.add(l.src.File, "the file cannot be read")
		return nil, nil
	}
	k := koanf.New(".")
	if err := k.Load(rawBytes(raw), yaml.Parser()); err != nil {
		// The parser's message may quote the line, and the line a secret.
		l.faults.add(l.src.File, "is not valid YAML%s", lineOf(err))
		return nil, nil
	}
	doc := k.Raw()
	list, listed := doc["projects"]
	delete(doc, "projects")
	l.unknown(doc, "", append(listKeys(processSettings()), "projects"))
	if !listed {
		return doc, nil
	}
	entries, ok := list.([]any)
	if !ok || len(entries) == 0 {
		l.faults.add("projects", "want a list of projects, each beginning with - id: …")
		return doc, nil
	}
	projects := make([]map[string]any, 0, len(entries))
	for i, e := range entries {
		where := fmt.Sprintf("projects[%d]", i)
		m, ok := e.(map[string]any)
		if !ok {
			l.faults.add(where, "want a project's settings, beginning with id: …")
			m = map[string]any{"id": fmt.Sprint("unreadable-", i)}
		}
		l.unknown(m, where+".", listKeys(projectSettings()))
		projects = append(projects, m)
	}
	return doc, projects
}

// listKeys lists the YAML keys of options, the _file ones included.
func listKeys[T any](options []option[T]) []string {
	var out []string
	for _, o := range options {
		out = append(out, o.key)
		if o.secret {
			out = append(out, o.key+"_file")
		}
	}
	return out
}

// unknown adds a fault for every key that is none.
func (l *loader) unknown(m map[string]any, where string, known []string) {
	var walk func(m map[string]any, prefix string)
	walk = func(m map[string]any, prefix string) {
		names := make([]string, 0, len(m))
		for name := range m {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			key := prefix + name
			if slices.Contains(known, key) {
				continue
			}
			section := slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, key+".") })
			if sub, ok := m[name].(map[string]any); section && (ok || m[name] == nil) {
				walk(sub, key+".")
				continue
			}
			if section {
				l.faults.add(where+key, "want settings below it, indented")
				continue
			}
			// The name itself is shown: it is a key, or the person will see
			// at once that it is something else.
			if near, ok := nearestName(key, known); ok {
				l.faults.add(where+key, "there is no such setting; did you mean %s?", where+near)
			} else {
				l.faults.add(where+key, "there is no such setting")
			}
		}
	}
	walk(m, "")
}

// lineOf finds the line number in the parser's message.
func lineOf(err error) string {
	_, after, ok := strings.Cut(err.Error(), "line ")
	end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
	if !ok || end <= 0 {
		return ""
	}
	return " (line " + after[:end] + ")"
}

// rawBytes is a koanf provider of a file that is read already.
type rawBytes []byte

// ReadBytes implements koanf.Provider.
func (b rawBytes) ReadBytes() ([]byte, error) { return b, nil }

// Read implements koanf.Provider.
func (rawBytes) Read() (map[string]any, error) { return nil, errNotOffered }

// memory is a koanf provider of values that are already here.
type memory map[string]any

// ReadBytes implements koanf.Provider.
func (memory) ReadBytes() ([]byte, error) { return nil, errNotOffered }

// Read implements koanf.Provider.
func (m memory) Read() (map[string]any, error) { return m, nil }

var errNotOffered = errors.New("this provider has only the other form")

// nestKey turns "a.b" into {a: {b: v}}.
func nestKey(key string, v any) map[string]any {
	parts := strings.Split(key, ".")
	for i := len(parts) - 1; i > 0; i-- {
		v = map[string]any{parts[i]: v}
	}
	return map[string]any{parts[0]: v}
}

func lookupPath(m map[string]any, key string) any {
	head, rest, more := strings.Cut(key, ".")
	if !more {
		return m[head]
	}
	sub, _ := m[head].(map[string]any)
	return lookupPath(sub, rest)
}

// toStrings turns a value of YAML or of the environment into text. Where text is
// wanted, YAML's numbers are refused: it has already turned +12025550123 into
// 12025550123 and 0123 into 83.
func toStrings(v any, list, typed bool) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		if !list {
			return nil, errors.New("want one value, not a list")
		}
		var out []string
		for i, e := range v {
			one, err := toStrings(e, false, typed)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", i+1, err)
			}
			out = append(out, one...)
		}
		return out, nil
	case map[string]any:
		return nil, errors.New("want a value, not settings below it")
	case string:
		return splitWords(v, list), nil
	}
	if !typed {
		return nil, errors.New("YAML reads this as something other than text; put it in quotes")
	}
	return []string{fmt.Sprint(v)}, nil
}

func splitWords(s string, list bool) []string {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil
	}
	if !list {
		return []string{s}
	}
	var out []string
	for e := range strings.SplitSeq(s, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return out
}
