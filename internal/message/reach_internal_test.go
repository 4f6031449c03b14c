package message

import (
	"reflect"
	"testing"

	"github.com/connectlink/connectlink/internal/secret"
)

// TestTemplatesReachTextAndNothingElse: the author of a template gets words,
// and no value with a method that could reveal data or have effects.
func TestTemplatesReachTextAndNothingElse(t *testing.T) {
	t.Parallel()
	typ := reflect.TypeFor[content]()
	if typ.NumMethod()+reflect.PointerTo(typ).NumMethod() > 0 {
		t.Error("templates can call methods of the content")
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Type == reflect.TypeFor[secret.Text]() || f.Type.Kind() != reflect.String && f.Type.Kind() != reflect.Bool {
			t.Errorf("field %s is a %s", f.Name, f.Type)
		}
		if f.Type.NumMethod() > 0 {
			t.Errorf("field %s has methods", f.Name)
		}
	}
}
