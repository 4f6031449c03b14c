package strictjson_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/httpapi/strictjson"
	"github.com/connectlink/connectlink/internal/invite"
)

// parses reports whether raw is taken as JSON. The suite's texts are mostly
// arrays and scalars, so they are put into a member that no struct has: the
// member is then a fault, but not of syntax.
func parses(t *testing.T, raw []byte) (bool, string) {
	t.Helper()
	_, err := strictjson.Decode(raw, &struct{}{})
	if err == nil {
		return true, ""
	}
	var e *invite.Error
	if !errors.As(err, &e) || e.Code != invite.CodeMalformed {
		t.Fatalf("error %v", err)
	}
	return false, e.Message
}

// TestJSONTestSuite holds the parser to the cases of a suite that others wrote.
func TestJSONTestSuite(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/jsontestsuite/*.json")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		counts[name[:1]]++
		ok, message := parses(t, raw)
		switch {
		case strings.Contains(name, "null_escape") || name == "y_object_escaped_null_in_key.json":
			// Valid JSON that this API refuses on purpose: PostgreSQL cannot store NUL.
			if ok || !strings.Contains(message, "NUL") {
				t.Errorf("%s: parses %v, %q", name, ok, message)
			}
		case name[0] == 'y' && !ok:
			t.Errorf("%s is refused: %s", name, message)
		case name[0] == 'n' && ok:
			t.Errorf("%s is taken", name)
		case strings.HasPrefix(name, "i_string") && ok && (strings.Contains(name, "surrogate") || strings.Contains(name, "invalid") || strings.Contains(name, "overlong")):
			t.Errorf("%s is taken: text that is no Unicode", name)
		}
	}
	if counts["y"] < 90 || counts["n"] < 180 || counts["i"] < 30 {
		t.Errorf("cases read: %v", counts)
	}
}

func TestTooManyValuesAreRefusedWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	full := "[" + strings.Repeat("0,", strictjson.MaxValues-2) + "0"
	if ok, message := parses(t, []byte(full+"]")); !ok {
		t.Errorf("as many values as there may be: %s", message)
	}
	if ok, message := parses(t, []byte(full+",0]")); ok || message != "The body has more than 50000 values." {
		t.Errorf("one value too many: %t, %q", ok, message)
	}
}

func TestDeepNestingIsRefusedBeforeItHurts(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"arrays":             strings.Repeat("[", 100_000),
		"arrays in objects":  strings.Repeat(`[{"":`, 50_000),
		"one level too many": strings.Repeat("[", strictjson.MaxDepth+1) + strings.Repeat("]", strictjson.MaxDepth+1),
		"objects and no end": strings.Repeat(`{"a":`, 10_000),
	} {
		if ok, message := parses(t, []byte(raw)); ok || !strings.Contains(message, "deep") {
			t.Errorf("%s: parses %v, %q", name, ok, message)
		}
	}
	if ok, message := parses(t, []byte(strings.Repeat("[", strictjson.MaxDepth)+strings.Repeat("]", strictjson.MaxDepth))); !ok {
		t.Errorf("the deepest allowed nesting is refused: %s", message)
	}
}
