package strictjson

import (
	"reflect"
	"strings"
)

// field is a member that a struct has.
type field struct {
	name string
	at   int
}

// structFields lists what a struct reads, by its json tags. A field without one is
// not read: what a caller may send is said, never derived.
func structFields(t reflect.Type) []field {
	out := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" && t.Field(i).IsExported() {
			out = append(out, field{name, i})
		}
	}
	return out
}

func indexField(known []field, name string) (int, bool) {
	for i, f := range known {
		if f.name == name {
			return i, true
		}
	}
	return 0, false
}

// longestName is the longest name for which a neighbour is sought.
const longestName = 64

// nearestField is the known name that was probably meant by name; empty if none
// is near. A name of a nested object counts if it is exact: {"email": …}
// belongs into recipient.
func nearestField(name string, t reflect.Type, known []field) string {
	if len(name) > longestName {
		return ""
	}
	plain := plainName(name)
	best, distance := "", 1+max(1, len(plain)/3)
	for _, f := range known {
		if d := editDistance(plain, plainName(f.name)); d < distance {
			best, distance = f.name, d
		}
	}
	if distance > 0 {
		if nested := findNested(plain, t, known); nested != "" {
			return nested
		}
	}
	return best
}

// findNested looks for a name one level down.
func findNested(plain string, t reflect.Type, known []field) string {
	for _, f := range known {
		inner := t.Field(f.at).Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() != reflect.Struct {
			continue
		}
		for _, g := range structFields(inner) {
			if plainName(g.name) == plain {
				return f.name + "." + g.name
			}
		}
	}
	return ""
}

// plainName makes externalUserId, External-User-ID and external_user_id the same.
func plainName(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours
// that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
