// Package required checks that a constructor got its required collaborators.
//
// A collaborator that protects people or data has no default: without the list
// of suppressed addresses people who opted out would be written to, without the
// publisher events would be lost, and no test would notice. Its absence is an
// error of the constructor. A test that does not need one passes an explicit
// no-op.
package required

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Check returns an error that names owner and every field without a value, in
// alphabetical order, and nil if there is none. A nil function, pointer,
// interface, map, slice or channel is no value.
func Check(owner string, fields map[string]any) error {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if isNil(fields[name]) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s lacks %s", owner, strings.Join(missing, ", "))
}

func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Func, reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice, reflect.Chan:
		return r.IsNil()
	}
	return false
}
