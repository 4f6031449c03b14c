package ledger

import "testing"

// The numbers are those of rows that earlier versions wrote: a repeat after an
// update is answered like the request itself.
func TestOutcomesKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	for o, want := range map[Outcome]int32{Created: 201, Postponed: 202, Existing: 200} {
		n, err := o.number()
		if err != nil || n != want {
			t.Errorf("%s has the number %d, %v; want %d", o, n, err, want)
		}
		if back, err := outcomeOf(n); err != nil || back != o {
			t.Errorf("%d is read as %q, %v; want %s", n, back, err, o)
		}
	}
	if _, err := Outcome("").number(); err == nil {
		t.Error("a record without an outcome could be stored")
	}
	if o, err := outcomeOf(500); err == nil {
		t.Errorf("500 is read as %s", o)
	}
}
