package contact

import (
	"errors"
	"fmt"
)

// Kind is a Fault's class. The values are the API's codes of field faults.
type Kind string

// The kinds of fault.
const (
	Required        Kind = "required"
	Invalid         Kind = "invalid"
	TooLong         Kind = "too_long"
	TypeUnsupported Kind = "phone_type_unsupported"
)

// Fault is the reason for refusing a value. Neither Detail nor Error
// repeats the value; Suggestion may contain a part of it that identifies no
// person (a domain, a language tag).
type Fault struct {
	Kind       Kind
	Detail     string // a whole sentence for the caller
	Suggestion string // the probable intended value; often empty
}

// Error implements error.
func (f *Fault) Error() string { return f.Detail }

// KindOf returns the kind of the fault in err's chain; empty when there is
// none.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return ""
}

func invalidFault(format string, args ...any) *Fault {
	return &Fault{Kind: Invalid, Detail: fmt.Sprintf(format, args...)}
}
