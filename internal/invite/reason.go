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
	MailReturned        Reason = "mail_returned"
	Unsubscribed        Reason = "unsubscribed"
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
	// Other is a second step that may be right instead.
	Other Action `json:"other_action"`
}

// Explain returns the words for a reason of a message that is over; ok is false
// for a reason that is not in the table.
func Explain(r Reason) (Explanation, bool) { return find(explanations(), r) }

// ExplainDelivery returns the words for a reason of a message in this status:
// while the message is still tried, the words promise nothing final.
func ExplainDelivery(r Reason, s DeliveryStatus) (Explanation, bool) {
	if s.Trying() {
		if e, ok := find(whileTrying(), r); ok {
			return e, true
		}
	}
	return Explain(r)
}

// ExplainEvent returns the words for a reason that an event carries.
func ExplainEvent(r Reason, t EventType) (Explanation, bool) {
	if t == EventMintFailed || t == EventDeliveryRetry {
		return ExplainDelivery(r, Queued)
	}
	if s, ok := t.deliveryStatus(); ok {
		return ExplainDelivery(r, s)
	}
	return Explain(r)
}

// Explanations lists the whole table, for the API, the docs and the command line.
func Explanations() []Explanation { return explanations() }

// ExplanationsWhileTrying lists the reasons whose words differ while a message
// is still tried.
func ExplanationsWhileTrying() []Explanation { return whileTrying() }

func find(table []Explanation, r Reason) (Explanation, bool) {
	i := slices.IndexFunc(table, func(e Explanation) bool { return e.Code == r })
	if i < 0 {
		return Explanation{}, false
	}
	return table[i], true
}

// explanations is the one table behind API, pages, command line and docs.
func explanations() []Explanation {
	return []Explanation{
		{AddressNotFound, "There is no mailbox at this email address.", "Check the spelling with the person, then correct the address and resend.", CorrectAddress, NoAction},
		{MailboxUnavailable, "The mailbox exists but does not take mail now: it is full, suspended or blocked.", "Try again later, or send a text message instead.", SwitchToSMS, Resend},
		{SenderReputation, "The recipient's mail system refused us as a sender; the address itself may be right.", "Tell the operators of your mail sending, and send a text message meanwhile.", SwitchToSMS, NoAction},
		{ContentRefused, "The recipient's mail system refused the content of the message.", "Tell the operators of your mail sending, and send a text message meanwhile.", SwitchToSMS, NoAction},
		{RateLimitedByHost, "The recipient's mail system took no more messages from us for now.", "Resend later, or send a text message instead.", Resend, SwitchToSMS},
		{TechnicalFailure, "The recipient's mail server could not be reached.", "Check the address with the person, or send a text message instead.", CorrectAddress, SwitchToSMS},
		{MailReturned, "The mail came back, and the recipient's mail server did not say clearly why.", "Check the address with the person, or send a text message instead.", CorrectAddress, SwitchToSMS},
		{DeferredByHost, "The recipient's mail server asked to be tried again later, until too little of the link's time was left.", "Resend: it gets a new link. If it is urgent, send a text message.", Resend, SwitchToSMS},
		{SuppressedBefore, "Nothing was sent, because an earlier message to this address failed.", "If you are sure that the address is right, lift the block and resend.", LiftAndResend, NoAction},
		{Unsubscribed, "The person unsubscribed from our emails: nothing was sent.", "Do not resend by email. Only the person can undo it; a text message is another way.", SwitchToSMS, NoAction},
		{MarkedSpam, "The person marked an earlier message as spam.", "Do not resend. Reach the person another way.", NoAction, NoAction},
		{PhoneUnreachable, "The phone is off, out of range, or does not take text messages.", "Try again later, or send an email.", Resend, SwitchToEmail},
		{NumberUnknown, "No phone has this number.", "Check the number with the person, then correct it and resend.", CorrectAddress, NoAction},
		{Landline, "This is a landline, or it cannot receive text messages.", "Send an email instead.", SwitchToEmail, NoAction},
		{CarrierFiltered, "The mobile network held the text message back as possible spam.", "Send an email, and tell the operators of your text messaging.", SwitchToEmail, NoAction},
		{SenderNotRegistered, "Our sending number is not approved for this country.", "Send an email; the operators have to register the number.", SwitchToEmail, NoAction},
		{OptedOut, "The person replied STOP: no text may be sent to them.", "Send an email. Only the person can undo it, by texting START.", SwitchToEmail, NoAction},
		{CountryNotEnabled, "Text messages to this country are switched off.", "Send an email, or ask an operator to enable the country.", SwitchToEmail, NoAction},
		{InvalidNumber, "This is not a valid phone number.", "Correct the number and resend.", CorrectAddress, NoAction},
		{NoReceipt, "The message was handed on, and no confirmation of its arrival came. It may have arrived.", "Ask the person before you resend.", Resend, NoAction},
		{OutcomeUnknown, "The connection broke while the message was handed over; the provider cannot tell us whether it took it.", "Ask the person whether it came; if not, resend.", Resend, NoAction},
		{ProviderRefused, "The sending provider refused the message.", "Look up the code on the provider's page, or ask an operator to; a resend may meet the same refusal.", NoAction, NoAction},
		{ProviderAccount, "The sending provider, or Pipedream, refused our account: credentials, credit, limits or sender approval.", "Tell an operator: once the account is put right, resend.", CallOperator, NoAction},
		{ProviderDown, "The sending provider, or the network behind it, did not take the message in time.", "Resend later: it gets a new link.", Resend, NoAction},
		{LinkUnavailable, "Pipedream gave no connect link in time, or refused to give one.", "Resend; if it happens again, tell an operator.", Resend, NoAction},
		{MessageBroken, "The message could not be put together.", "Tell an operator: the cause is in the service's log.", CallOperator, NoAction},
	}
}

// whileTrying holds the words that differ while nothing is over yet.
func whileTrying() []Explanation {
	return []Explanation{
		{RateLimitedByHost, "The recipient's mail system asked us to slow down.", "Nothing to do: it is tried again automatically.", NoAction, SwitchToSMS},
		{TechnicalFailure, "The recipient's mail server cannot be reached right now.", "Nothing to do: it is tried again automatically until the link expires.", NoAction, NoAction},
		{DeferredByHost, "The recipient's mail server asked to be tried again later.", "Wait; if it is urgent, send a text message.", SwitchToSMS, NoAction},
		{MailboxUnavailable, "The mailbox does not take mail right now.", "It is tried again automatically; if it is urgent, send a text message.", SwitchToSMS, NoAction},
		{SenderReputation, "The recipient's mail system does not take mail from us right now.", "It is tried again automatically; if it is urgent, send a text message.", SwitchToSMS, NoAction},
		{ProviderAccount, "The sending provider, or Pipedream, refuses our account: credentials, credit, limits or sender approval.", "Operators must put the account right; the message waits and then goes out automatically.", CallOperator, NoAction},
		{ProviderDown, "The sending provider cannot take the message right now.", "Nothing to do: it is tried again automatically.", NoAction, NoAction},
		{LinkUnavailable, "Pipedream cannot issue a connect link right now.", "Nothing to do: it is tried again automatically.", NoAction, NoAction},
	}
}

// rank orders reasons by how much they tell: a specific one stands above a
// general one, what lasts above what passes, and what the person said or did
// above everything. Every reason has a rank of its own, so that two facts about
// one message end alike in any order. A reason that is not in the list ranks
// with none.
func (r Reason) rank() int { return max(slices.Index(byTelling(), r), 0) }

func byTelling() []Reason {
	return []Reason{
		"",
		// Nothing is known.
		NoReceipt, OutcomeUnknown,
		// A failure without a stated cause.
		ProviderRefused, SuppressedBefore, MailReturned,
		// It passes.
		ProviderDown, LinkUnavailable, DeferredByHost, TechnicalFailure, RateLimitedByHost, PhoneUnreachable,
		// It is ours to mend.
		MessageBroken, ProviderAccount, SenderReputation, ContentRefused, CarrierFiltered, SenderNotRegistered, CountryNotEnabled,
		// The recipient's side cannot take it.
		MailboxUnavailable, Landline, InvalidNumber, NumberUnknown, AddressNotFound,
		// The person does not want it.
		Unsubscribed, OptedOut, MarkedSpam,
	}
}
