package config

import (
	"fmt"
	"strings"

	"github.com/hbollon/go-edlib"
)

// Fault is one thing wrong with the configuration. It never holds a value.
type Fault struct {
	Name    string // the variable or key, as the person wrote it
	Problem string // the fault and its fix
}

func (f Fault) String() string { return f.Name + ": " + f.Problem }

// Error is every fault that Load found.
type Error struct{ Faults []Fault }

// Error lists the faults, one a line.
func (e *Error) Error() string {
	var b strings.Builder
	if len(e.Faults) == 1 {
		b.WriteString("the configuration has a fault:")
	} else {
		fmt.Fprintf(&b, "the configuration has %d faults:", len(e.Faults))
	}
	for _, f := range e.Faults {
		b.WriteString("\n  - " + f.String())
	}
	return b.String()
}

// faults collects.
type faults struct{ all []Fault }

func (f *faults) add(name, format string, args ...any) {
	f.all = append(f.all, Fault{Name: name, Problem: fmt.Sprintf(format, args...)})
}

func (f *faults) err() error {
	if len(f.all) == 0 {
		return nil
	}
	return &Error{Faults: f.all}
}

// nearestName returns the known name closest to an unknown one, when it is close
// enough to have been meant.
func nearestName(unknown string, known []string) (string, bool) {
	best, least := "", len(unknown)/3+1
	for _, k := range known {
		if d := edlib.OSADamerauLevenshteinDistance(strings.ToLower(unknown), strings.ToLower(k)); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best, best != ""
}
