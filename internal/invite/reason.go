package invite

import "slices"

// Reason is our class for why a message did not do its work. The provider's
// own code and words are kept beside it, sealed.
type Reason string

const (
	AddressNotFound     Reason = "address_not_found"
	MailboxUnavailable  Reason = "mailbox_unavailable"
	SenderReputation    Reason = "sender_reputation"
	ContentRefused      Reason = "content"
	RateLimitedByHost   Reason = "rate_limited_by_host"
	TechnicalFailure    Reason = "technical"
	DeferredByHost      Reason = "deferred"
	SuppressedBefore    Reason = "suppressed"
	MarkedSpam          Reason = "marked_spam"
	PhoneUnreachable    Reason = "phone_unreachable"
	NumberUnknown       Reason = "number_unknown"
	Landline            Reason = "landline"
	CarrierFiltered     Reason = "carrier_filtered"
	SenderNotRegistered Reason = "sender_not_registered"
	OptedOut            Reason = "opted_out"
	CountryNotEnabled   Reason = "country_not_enabled"
	InvalidNumber       Reason = "invalid_number"
	NoReceipt           Reason = "no_receipt"
	OutcomeUnknown      Reason = "outcome_unknown"
	ProviderRefused     Reason = "provider_refused"
	ProviderAccount     Reason = "provider_account"
	ProviderDown        Reason = "provider_unavailable"
	LinkUnavailable     Reason = "link_unavailable"
	MessageBroken       Reason = "message_broken"
)

// Action is the next step that a person can take, as a stable word; the
// console turns it into a button.
type Action string

const (
	NoAction       Action = ""
	CorrectAddress Action = "correct_address"
	SwitchToSMS    Action = "switch_to_sms"
	SwitchToEmail  Action = "switch_to_email"
	Resend         Action = "resend"
	LiftAndResend  Action = "lift_block_and_resend"
	CallOperator   Action = "call_operator"
)

// Explanation is a reason in plain words.
type Explanation struct {
	Code   Reason `json:"code"`
	Title  string `json:"title"`  // what happened
	Advice string `json:"advice"` // what to do
	Action Action `json:"action"` // the next step's button, if there is one
}

// Explain returns the words for a reason; ok is false for a reason that is
// not in the table.
func Explain(r Reason) (Explanation, bool) {
	i := slices.IndexFunc(explanations(), func(e Explanation) bool { return e.Code == r })
	if i < 0 {
		return Explanation{}, false
	}
	return explanations()[i], true
}

// Explanations lists the whole table, for the API, the docs and the command line.
func Explanations() []Explanation { return explanations() }

// explanations is the one table behind API, pages, command line and docs.
func explanations() []Explanation {
	return []Explanation{
		{AddressNotFound, "There is no mailbox at this email address.", "Check the spelling with the person, then correct the address and resend.", CorrectAddress},
		{MailboxUnavailable, "The mailbox exists but does not take mail now: it is full, suspended or blocked.", "Try again later, or send a text message instead.", SwitchToSMS},
		{SenderReputation, "The recipient's mail system refused us as a sender; the address itself may be right.", "Tell whoever runs your mail sending, and send a text message meanwhile.", SwitchToSMS},
		{ContentRefused, "The recipient's mail system refused the content of the message.", "Tell whoever runs your mail sending, and send a text message meanwhile.", SwitchToSMS},
		{RateLimitedByHost, "The recipient's mail system asked us to slow down.", "Nothing to do: the provider tries again by itself.", NoAction},
		{TechnicalFailure, "The recipient's mail server could not be reached.", "Nothing to do: the provider tries again until the link expires.", NoAction},
		{DeferredByHost, "The recipient's mail server asked to be tried again later.", "Wait; if it is urgent, send a text message.", SwitchToSMS},
		{SuppressedBefore, "Nothing was sent, because an earlier message to this address failed.", "If you are sure that the address is right, lift the block and resend.", LiftAndResend},
		{MarkedSpam, "The person marked an earlier message as spam.", "Do not resend. Reach the person another way.", NoAction},
		{PhoneUnreachable, "The phone is off, out of range, or does not take text messages.", "Try again later, or send an email.", Resend},
		{NumberUnknown, "No phone has this number.", "Check the number with the person, then correct it and resend.", CorrectAddress},
		{Landline, "This is a landline, or it cannot receive text messages.", "Send an email instead.", SwitchToEmail},
		{CarrierFiltered, "The mobile network held the text message back as possible spam.", "Send an email, and tell whoever runs your text messaging.", SwitchToEmail},
		{SenderNotRegistered, "Our sending number is not approved for this country.", "Send an email; the operators have to register the number.", SwitchToEmail},
		{OptedOut, "The person replied STOP: no text may be sent to them.", "Send an email. Only the person can undo it, by texting START.", SwitchToEmail},
		{CountryNotEnabled, "Text messages to this country are switched off.", "Send an email, or ask an operator to enable the country.", SwitchToEmail},
		{InvalidNumber, "This is not a valid phone number.", "Correct the number and resend.", CorrectAddress},
		{NoReceipt, "The message was handed on, and no confirmation of its arrival came. It may have arrived.", "Ask the person before you resend.", Resend},
		{OutcomeUnknown, "The connection broke while the message was handed over; the provider cannot tell us whether it took it.", "Ask the person whether it came; if not, resend.", Resend},
		{ProviderRefused, "The sending provider refused the message.", "See the provider's code, correct what it names, and resend.", Resend},
		{ProviderAccount, "The sending provider refused our account: credentials, credit or sender approval.", "Operators must put the provider account right; it is tried again by itself.", CallOperator},
		{ProviderDown, "The sending provider could not be reached before the link's time ran out.", "Resend: it gets a fresh link.", Resend},
		{LinkUnavailable, "Pipedream gave no connect link before the invite's time ran out.", "Resend; if it happens again, tell an operator.", Resend},
		{MessageBroken, "The message could not be put together.", "Tell an operator: the cause is in the service's log.", CallOperator},
	}
}
