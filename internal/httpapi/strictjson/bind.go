package strictjson

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/invite"
)

// MaxFaults is how many faults one answer lists; a body with more is not the
// work of a person.
const MaxFaults = 50

// maxToken cuts a name that a pointer quotes.
const maxToken = 100

// Decode reads raw into the struct that into points to. A body that is no JSON
// is an *invite.Error with malformed_body. Everything else that is wrong comes
// as faults, together with what could be read; so the caller can go on and
// find the faults of meaning too.
func Decode(raw []byte, into any) ([]invite.Fault, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("decode into %T: not a pointer to a struct", into)
	}
	root, err := parseJSON(raw)
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		return nil, invite.Errorf(invite.CodeMalformed, "%s", syntax.message)
	}
	var b binder
	b.bind(root, v.Elem(), "")
	return b.faults, b.broken
}

// Item is a value of an array that is read on its own, with faults of its own.
type Item struct{ value node }

// Decode reads an item into the struct that into points to, as Decode does a
// body. The pointers of its faults begin at the item.
func (i Item) Decode(into any) ([]invite.Fault, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("decode into %T: not a pointer to a struct", into)
	}
	var b binder
	b.bind(i.value, v.Elem(), "")
	return b.faults, b.broken
}

type binder struct {
	faults []invite.Fault
	broken error // the struct asks for what cannot be read: our own mistake
}

func (b *binder) full() bool { return b.broken != nil || len(b.faults) >= MaxFaults }

func (b *binder) add(pointer string, code invite.Code, suggestion, format string, args ...any) {
	if !b.full() {
		b.faults = append(b.faults, invite.Fault{
			Pointer: pointer, Code: code, Suggestion: suggestion, Detail: fmt.Sprintf(format, args...),
		})
	}
}

func (b *binder) wrongType(pointer, want string, n node) {
	b.add(pointer, invite.FaultWrongType, "", "must be %s, not %s", want, n.kind.name())
}

func (k kind) name() string {
	return [...]string{null: "null", boolean: "a boolean", number: "a number", text: "a string", array: "an array", object: "an object"}[k]
}

// bind lays n over v. null leaves v as it is: it was not given.
func (b *binder) bind(n node, v reflect.Value, pointer string) {
	if b.full() {
		return
	}
	if item, ok := v.Addr().Interface().(*Item); ok {
		item.value = n
		return
	}
	if n.kind == null && pointer != "" {
		return
	}
	if v.Kind() == reflect.Pointer {
		made := reflect.New(v.Type().Elem())
		b.bind(n, made.Elem(), pointer)
		v.Set(made)
		return
	}
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		b.time(n, t, pointer)
		return
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		b.unmarshaler(n, t, pointer)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.members(n, v, pointer)
	case reflect.String:
		if b.is(n, text, "a string", pointer) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if b.is(n, boolean, "true or false", pointer) {
			v.SetBool(n.yes)
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		b.integer(n, v, pointer)
	case reflect.Map:
		b.mapping(n, v, pointer)
	case reflect.Slice:
		b.slice(n, v, pointer)
	default:
		b.broken = fmt.Errorf("decode %q: no rule for %s", pointer, v.Type())
	}
}

func (b *binder) is(n node, k kind, want, pointer string) bool {
	if n.kind != k {
		b.wrongType(pointer, want, n)
		return false
	}
	return true
}

// isObject accepts an empty array for an empty object: PHP writes both its empty
// list and its empty map as []. The body itself must be an object.
func (b *binder) isObject(n node, pointer string) bool {
	return n.kind == array && len(n.items) == 0 && pointer != "" || b.is(n, object, "an object", pointer)
}

func (b *binder) time(n node, t *time.Time, pointer string) {
	if !b.is(n, text, "a string with a date and time", pointer) {
		return
	}
	at, err := time.Parse(time.RFC3339, n.text)
	if err != nil {
		b.add(pointer, invite.FaultInvalid, "", "must be a date and time like 2026-11-23T15:04:05Z (RFC 3339)")
		return
	}
	*t = at
}

func (b *binder) unmarshaler(n node, t encoding.TextUnmarshaler, pointer string) {
	if b.is(n, text, "a string", pointer) && t.UnmarshalText([]byte(n.text)) != nil {
		b.add(pointer, invite.FaultInvalid, "", "does not have the right form")
	}
}

// integer takes what JSON Schema calls an integer: 60, and also 60.0 and 6e1.
func (b *binder) integer(n node, v reflect.Value, pointer string) {
	if !b.is(n, number, "a whole number", pointer) {
		return
	}
	i, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(n.text, 64)
		switch {
		case !isWhole(n.text):
			b.add(pointer, invite.FaultWrongType, "", "must be a whole number")
			return
		case ferr != nil || math.Abs(f) > 1<<53:
			b.add(pointer, invite.FaultOutOfRange, "", "is too large a number")
			return
		}
		i = int64(f)
	}
	if v.OverflowInt(i) {
		b.add(pointer, invite.FaultOutOfRange, "", "is too large a number")
		return
	}
	v.SetInt(i)
}

// isWhole reports whether a JSON number is whole, by its digits: as a float64, 1e-400 is
// 0 and 60.00000000000000000001 is 60.
func isWhole(text string) bool {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(text, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(whole+fraction, "0")
	if strings.Trim(digits, "0") == "" {
		return true
	}
	// An exponent that is no int is beyond any number of digits; its sign decides.
	shift, err := strconv.Atoi(cmp.Or(exponent, "0"))
	if err != nil {
		return !strings.HasPrefix(exponent, "-")
	}
	return len(digits)-len(whole) <= shift
}

func (b *binder) mapping(n node, v reflect.Value, pointer string) {
	if v.Type().Key().Kind() != reflect.String {
		b.broken = fmt.Errorf("decode %q: no rule for %s", pointer, v.Type())
		return
	}
	if !b.isObject(n, pointer) {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.members)))
	for _, m := range n.members {
		at := pointer + pointerToken(m.name)
		key := reflect.ValueOf(m.name).Convert(v.Type().Key())
		if v.MapIndex(key).IsValid() {
			b.add(at, invite.FaultDuplicate, "", "is given twice")
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		b.element(m.value, value, at)
		v.SetMapIndex(key, value)
	}
}

func (b *binder) slice(n node, v reflect.Value, pointer string) {
	if !b.is(n, array, "an array", pointer) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		b.element(item, v.Index(i), pointer+"/"+strconv.Itoa(i))
	}
}

// element binds a value of an array or a map, where null is no way to leave
// something out.
func (b *binder) element(n node, v reflect.Value, pointer string) {
	if n.kind == null && v.Type() != reflect.TypeFor[Item]() {
		b.add(pointer, invite.FaultWrongType, "", "must not be null")
		return
	}
	b.bind(n, v, pointer)
}

func (b *binder) members(n node, v reflect.Value, pointer string) {
	if !b.isObject(n, pointer) {
		return
	}
	known := structFields(v.Type())
	seen := make(map[string]bool, len(n.members))
	for _, m := range n.members {
		if b.full() {
			return
		}
		at := pointer + pointerToken(m.name)
		if seen[m.name] {
			b.add(at, invite.FaultDuplicate, "", "is given twice")
			continue
		}
		seen[m.name] = true
		i, ok := indexField(known, m.name)
		if !ok {
			b.unknown(m.name, v.Type(), known, at)
			continue
		}
		b.bind(m.value, v.FieldByIndex(known[i].at), at)
	}
}

func (b *binder) unknown(name string, t reflect.Type, known []field, pointer string) {
	near := nearestField(name, t, known)
	if near == "" {
		b.add(pointer, invite.FaultUnknownField, "", "is not a field here")
		return
	}
	b.add(pointer, invite.FaultUnknownField, near, "is not a field here; did you mean %s?", near)
}

// pointerToken is a name as a step of a JSON Pointer.
func pointerToken(name string) string {
	if utf8.RuneCountInString(name) > maxToken {
		name = string([]rune(name)[:maxToken]) + "…"
	}
	return "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
