package ledger

import (
	"encoding/json"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// failure is invite.Failure as the column deliveries.failure holds it.
type failure struct {
	Status   invite.DeliveryStatus `json:"status"`
	Reason   invite.Reason         `json:"reason,omitempty"`
	Code     string                `json:"code,omitempty"`
	Provider string                `json:"provider,omitempty"`
	At       time.Time             `json:"at"`
}

// fact returns the failure; zero for none.
func (f *failure) fact() invite.Failure {
	if f == nil {
		return invite.Failure{}
	}
	return invite.Failure{Status: f.Status, Reason: f.Reason, Code: f.Code, Provider: f.Provider, At: f.At}
}

// failureJSON returns what the column holds; nil for none. Times are cut to what
// a timestamptz keeps, so that ended_at and the failure's time compare as equal.
func failureJSON(f invite.Failure) *string {
	if f.Status == "" {
		return nil
	}
	raw, err := json.Marshal(failure{f.Status, f.Reason, f.Code, f.Provider, f.At.UTC().Round(time.Microsecond)})
	if err != nil {
		return nil // strings and a time of this millennium always encode
	}
	text := string(raw)
	return &text
}
