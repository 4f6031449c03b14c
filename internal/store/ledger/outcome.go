package ledger

import "fmt"

// Outcome is what a request to create or resend an invite came to. How an
// answer says so is the inbound edge's to know.
type Outcome string

const (
	Created   Outcome = "created"
	Postponed Outcome = "postponed" // created; its connect link is minted later
	Existing  Outcome = "existing"  // the invite was there: it was resent, or is returned as it stands
)

// The column idempotency.status holds an outcome as a number. Other versions of
// this service read and write the same rows during an update, so the numbers stay.
const (
	numberExisting  = 200
	numberCreated   = 201
	numberPostponed = 202
)

func (o Outcome) number() (int32, error) {
	switch o {
	case Created:
		return numberCreated, nil
	case Postponed:
		return numberPostponed, nil
	case Existing:
		return numberExisting, nil
	}
	return 0, fmt.Errorf("no number for outcome %q", string(o))
}

func outcomeOf(number int32) (Outcome, error) {
	switch number {
	case numberCreated:
		return Created, nil
	case numberPostponed:
		return Postponed, nil
	case numberExisting:
		return Existing, nil
	}
	return "", fmt.Errorf("no outcome has the number %d", number)
}
