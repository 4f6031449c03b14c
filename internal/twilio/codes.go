package twilio

import (
	"strconv"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
)

const (
	codeTooManyRequests = 20429
	codeQueueFull       = 21611 // the From number has ten hours of texts before this one
)

// accountCode says whether a code of a 400 means our configuration, so that
// every text would meet it.
func accountCode(code int) bool {
	switch code {
	case 20003, // credentials
		21603, 21606, 21212, // the From number is missing, incapable or invalid
		21663,        // another region's API
		21701, 21703, // no such Messaging Service, or one without senders
		21609, // the callback URL
		90007: // the validity period
		return true
	}
	return false
}

// messageCode says whether a code of a 403 or 404 nonetheless concerns only
// this text or its recipient.
func messageCode(code int) bool {
	switch code {
	case 21408, 21610, 21614, 21635, 21608, 30450:
		return true
	}
	return false
}

// reasonOf is our reason for Twilio's code, of a refusal or of a callback. Codes
// may change their meaning, says Twilio; the raw one is kept beside the reason.
func reasonOf(code int) (invite.Reason, bool) {
	switch code {
	case 21211, 21201, 21604, 21217:
		return invite.InvalidNumber, true
	case 21408:
		return invite.CountryNotEnabled, true
	case 21610:
		return invite.OptedOut, true
	case 21614, 21635, 30006:
		return invite.Landline, true
	case 30003, 30008:
		return invite.PhoneUnreachable, true
	case 30005:
		return invite.NumberUnknown, true
	case 30007, 30004, 30450:
		// 30004 is "blocked", by the phone's owner or by the network: unlike STOP
		// it was not said to us, and no START would undo it.
		return invite.CarrierFiltered, true
	case 30610, 30640:
		// The account's compliance rules: quiet hours, known litigators.
		return invite.ProviderRefused, true
	case 30024, 30034:
		return invite.SenderNotRegistered, true
	case 20003, 21603, 21606, 21212, 21663, 21701, 21703, 21609, 30002:
		return invite.ProviderAccount, true
	case 21617:
		return invite.MessageBroken, true
	case codeQueueFull, 30001, 30036:
		return invite.ProviderDown, true
	case 21612:
		return invite.CountryNotEnabled, true
	}
	return "", false
}

// Reason is our reason for a failed call.
func Reason(e *message.SendError) invite.Reason {
	switch e.Outcome {
	case message.Unknown:
		return invite.OutcomeUnknown
	case message.NotSent:
		return invite.ProviderDown
	}
	if e.ProviderCode == "unsendable" {
		return invite.MessageBroken
	}
	if code, err := strconv.Atoi(e.ProviderCode); err == nil {
		if r, ok := reasonOf(code); ok {
			return r
		}
	}
	if e.Scope == message.ScopeAccount {
		return invite.ProviderAccount
	}
	return invite.ProviderRefused
}
