package required_test

import (
	"io"
	"testing"

	"github.com/connectlink/connectlink/internal/required"
)

func TestCheckNamesEveryMissingField(t *testing.T) {
	t.Parallel()
	var (
		noFunc      func()
		noPointer   *int
		noInterface io.Reader
		noMap       map[string]int
	)
	err := required.Check("dispatch.Params", map[string]any{
		"Publish": noFunc, "Box": noPointer, "DB": noInterface, "Lanes": noMap, "Wake": func() {}, "Now": 1, "Name": "",
	})
	if want := "dispatch.Params lacks Box, DB, Lanes, Publish"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := required.Check("x", map[string]any{"Wake": func() {}}); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
}
