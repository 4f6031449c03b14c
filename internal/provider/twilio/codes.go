package twilio

import (
	"regexp"
	"strconv"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
)

const (
	codeTooManyRequests = 20429
	codeStillSending    = 20009
	codeQueueFull       = 21611 // the From number has ten hours of texts before this one
)

// Every code below is classed by its page, https://www.twilio.com/docs/api/errors/{code}
// (and the list at https://www.twilio.com/docs/api/errors), in the words beside it.
// Codes may change their meaning, says Twilio; the raw one is kept beside the
// reason.

// accountCode reports whether a code of a refused call concerns our
// configuration, so that every text would be refused.
func accountCode(code int) bool {
	switch code {
	case 20003, 20005, // credentials; the account is not active
		21470, 21471, 21472, // no such account, or it is not active
		21212, 21601, 21603, 21606, 21607, 21616, // From is invalid, not ours, missing, incapable, not a trial's, matches several
		21659, 21660, 21661, // From is not Twilio's, another account's, not for SMS
		21662, 21663, 21668, // another region's sender or API
		21267,               // an alphanumeric From on a trial account
		21621, 21622, 21664, // From or account lacks a feature
		21665, 21666, 21667, // FallbackFrom
		21701, 21702, 21703, 21704, 21705, // the Messaging Service does not exist, is not available, has no free sender, no sender, is invalid
		21708, 21709, 21711, 21712, 21715, 21910, // the sender does not fit the Messaging Service or the channel
		21609, 21626, // the status callback
		21624, 30012, 30013, 30045, 90007, // the validity period
		21627, 30010, 30031, // MaxPrice, MaxRate
		30002, 30037, 30044, 30454, 63038, // suspended, messaging disabled, a trial's limit, the account's limits
		63001, 63002, 63007, 63008: // the channel's credentials, From or set-up
		return true
	}
	// Link shortening is set up wrongly: domains, certificates, DNS.
	return code >= 30100 && code <= 30140 && code != 30110 && code != 30111
}

// messageCode reports whether a code of a 403 or 404 nonetheless concerns
// only this text or its recipient.
func messageCode(code int) bool {
	switch code {
	case 21408, 21610, 21614, 21635, 21608, 21268, 30450, 30453, 30485:
		return true
	}
	return false
}

// reasonOf is our reason for Twilio's code, of a refusal or of a callback.
func reasonOf(code int) (invite.Reason, bool) {
	switch code {
	case 21211, 21201, 21604, 21217, 30014, // To is invalid or missing
		21265, 21266, 21268, 21401: // a short code, our own number, a premium number
		return invite.InvalidNumber, true
	case 21408, // the region is not permitted
		21612: // not from this sender to there
		return invite.CountryNotEnabled, true
	case 21610, 63033: // the recipient opted out
		return invite.OptedOut, true
	case 21614, 21635, 30006, // not mobile, a landline
		63024: // the recipient cannot be reached on this channel
		return invite.Landline, true
	case 30003, 30008, 63036: // switched off or out of reach; unknown
		return invite.PhoneUnreachable, true
	case 30005, 63003: // unknown, may no longer exist
		return invite.NumberUnknown, true
	case 30004, 30007, 30038, 30039, // blocked, filtered, filtered as a one-time password, as a loop
		30110, 30111, // the link's domain is on a deny list
		30450, 30453, 30485: // pumping protection; for a few hours
		// 30004 is "blocked", by the phone's owner or by the network: unlike STOP
		// it was not said to us, and no START would undo it.
		return invite.CarrierFiltered, true
	case 30610, 30640:
		// The account's compliance rules: quiet hours, known litigators.
		return invite.ProviderRefused, true
	case 30018, 30024, 30040, 30041, 30042, // the sender id is to be registered, or is not allowed
		21657,               // it is not supported in the destination
		30032,               // a toll-free number that is not verified
		30033, 30034, 30035: // A2P 10DLC: campaign suspended, not registered, still being set up
		return invite.SenderNotRegistered, true
	case 21602, 21605, 21617, 21618, 21619, 30019: // no body, or one that is too long
		return invite.MessageBroken, true
	case codeQueueFull, 30001, 30036, // queues are full, the validity period ran out
		30017,               // the network is congested
		30022, 30023, 30027, // A2P 10DLC rates and daily caps
		14107, 63017, 63018, // rates
		30410, 30500, 20500, 20503, 20504, 30020, 30021: // a time-out, errors within Twilio
		return invite.ProviderDown, true
	case 30046: // delivery is not confirmed
		return invite.NoReceipt, true
	}
	if accountCode(code) {
		return invite.ProviderAccount, true
	}
	return "", false
}

// rateCode reports whether a refused call exceeded a rate limit of ours.
func rateCode(code int) bool { return code == 14107 || code == 63017 || code == 63018 }

// isKnownCode reports whether a code is in these lists.
func isKnownCode(code int) bool {
	_, ok := reasonOf(code)
	return ok || messageCode(code)
}

// namesSender reports whether the words of a refusal name our sender, and not
// the recipient: such a refusal concerns every text, under any code.
func namesSender(words string) bool {
	return sender.MatchString(words) && !recipient.MatchString(words)
}

var (
	sender = regexp.MustCompile(`['"` + "`" + `‘“]From['"` + "`" + `’”]|\b(?i:from) (?i:phone |sender |)(?i:number|address|parameter)|\bFrom\b|` +
		`(?i:messaging ?service|sender ?id|\bsender\b|alphanumeric|short ?code|status ?callback|\b(sub)?account\b|permission|credential|authenticat|authoriz)`)
	recipient = regexp.MustCompile(`['"` + "`" + `‘“]To['"` + "`" + `’”]|(?i:recipient|destination|\bto (phone |)number\b)`)
)

// classifyError gives a failed call's error its reason.
func classifyError(e *provider.SendError) *provider.SendError {
	e.Reason = reasonOfCall(e)
	return e
}

// reasonOfCall is our reason for a failed call.
func reasonOfCall(e *provider.SendError) invite.Reason {
	switch e.Outcome {
	case provider.Unknown:
		return invite.OutcomeUnknown
	case provider.NotSent:
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
	if e.Scope == provider.ScopeAccount {
		return invite.ProviderAccount
	}
	return invite.ProviderRefused
}
