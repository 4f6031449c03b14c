package strictjson

import (
	"reflect"
	"strings"

	"github.com/hbollon/go-edlib"
)

// field is a member that a struct has.
type field struct {
	name string
	at   []int // index for reflect, longer than one in an embedded struct
}

// structFields lists what a struct reads, by its json tags. A field without one is
// not read: what a caller may send is said, never derived.
func structFields(t reflect.Type) []field {
	out := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			for _, inner := range structFields(f.Type) {
				out = append(out, field{inner.name, append([]int{i}, inner.at...)})
			}
		case name != "" && name != "-" && f.IsExported():
			out = append(out, field{name, []int{i}})
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
	best, distance := "", 1+max(1, len(plain)/4)
	for _, f := range known {
		if d := edlib.OSADamerauLevenshteinDistance(plain, plainName(f.name)); d < distance {
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
		inner := t.FieldByIndex(f.at).Type
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
