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
	SendingPaused       Reason = "sending_paused"
	DatabaseRestored    Reason = "database_restored"
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
		{MailboxUnavailable, "The mailbox exists but does not accept mail now: it is full, suspended or blocked.", "Try again later, or send a text message instead.", SwitchToSMS, Resend},
		{SenderReputation, "The recipient's mail system rejected us as a sender; the address may be correct.", "Tell your mail operators, and send a text message in the meantime.", SwitchToSMS, NoAction},
		{ContentRefused, "The recipient's mail system rejected the content of the message.", "Tell your mail operators, and send a text message in the meantime.", SwitchToSMS, NoAction},
		{RateLimitedByHost, "The recipient's mail system temporarily stopped accepting our messages.", "Resend later, or send a text message instead.", Resend, SwitchToSMS},
		{TechnicalFailure, "The recipient's mail server could not be reached.", "Check the address with the person, or send a text message instead.", CorrectAddress, SwitchToSMS},
		{MailReturned, "The mail bounced, and the recipient's mail server gave no clear reason.", "Check the address with the person, or send a text message instead.", CorrectAddress, SwitchToSMS},
		{DeferredByHost, "The recipient's mail server kept asking us to retry later until the link was about to expire.", "Resend: the message gets a new link. If it is urgent, send a text message.", Resend, SwitchToSMS},
		{SuppressedBefore, "Nothing was sent, because an earlier message to this address failed.", "If the address is correct, unblock it and resend.", LiftAndResend, NoAction},
		{Unsubscribed, "The person unsubscribed from our emails: nothing was sent.", "Do not resend by email: only the person can undo it. A text message may be sent instead.", SwitchToSMS, NoAction},
		{MarkedSpam, "The person marked an earlier message as spam.", "Do not resend. Reach the person another way.", NoAction, NoAction},
		{PhoneUnreachable, "The phone is off, out of range, or does not accept text messages.", "Try again later, or send an email.", Resend, SwitchToEmail},
		{NumberUnknown, "This number does not exist.", "Check the number with the person, then correct it and resend.", CorrectAddress, NoAction},
		{Landline, "This is a landline, or it cannot receive text messages.", "Send an email instead.", SwitchToEmail, NoAction},
		{CarrierFiltered, "The mobile network blocked the text message as possible spam.", "Send an email, and tell your text message operators.", SwitchToEmail, NoAction},
		{SenderNotRegistered, "Our sending number is not approved for this country.", "Send an email; the operators have to register the number.", SwitchToEmail, NoAction},
		{OptedOut, "The person replied STOP, so text messages may not be sent to them.", "Send an email. Only the person can undo it, by texting START.", SwitchToEmail, NoAction},
		{CountryNotEnabled, "Text messages to this country are disabled.", "Send an email, or ask an operator to enable the country.", SwitchToEmail, NoAction},
		{InvalidNumber, "This is not a valid phone number.", "Correct the number and resend.", CorrectAddress, NoAction},
		{NoReceipt, "The message was sent, but no delivery report came. It may have arrived.", "Ask the person before you resend.", Resend, NoAction},
		{OutcomeUnknown, "The connection broke during the call to the provider, so it is unknown whether the provider accepted the message.", "Ask the person whether it arrived; if not, resend.", Resend, NoAction},
		{DatabaseRestored, "The database was restored to an earlier time, so it is unknown whether the message was sent before.", "Ask the person whether it arrived; if not, resend.", Resend, NoAction},
		{ProviderRefused, "The sending provider rejected the message.", "Look up the error code in the provider's documentation, or ask an operator. A resend may be rejected again.", NoAction, NoAction},
		{ProviderAccount, "The sending provider or Pipedream rejected our account: credentials, credit, limits or sender approval.", "Tell an operator. Resend once the account is fixed.", CallOperator, NoAction},
		{ProviderDown, "The sending provider did not accept the message in time.", "Resend later: the message gets a new link.", Resend, NoAction},
		{LinkUnavailable, "Pipedream did not issue a connect link in time, or refused to.", "Resend; if it happens again, tell an operator.", Resend, NoAction},
		{MessageBroken, "The message could not be rendered.", "Tell an operator: the cause is in the service's log.", CallOperator, NoAction},
		{SendingPaused, "Messages to this country or of this API key were paused until the invite ended.", "Ask a lead to resume sending, then resend. If it is urgent, send an email.", SwitchToEmail, Resend},
	}
}

// whileTrying holds the words that differ while nothing is over yet.
func whileTrying() []Explanation {
	return []Explanation{
		{RateLimitedByHost, "The recipient's mail system asked us to slow down.", "No action needed: the service retries automatically.", NoAction, SwitchToSMS},
		{TechnicalFailure, "The recipient's mail server cannot be reached right now.", "No action needed: the service retries automatically until the link expires.", NoAction, NoAction},
		{DeferredByHost, "The recipient's mail server asked us to retry later.", "Wait. If it is urgent, send a text message.", SwitchToSMS, NoAction},
		{MailboxUnavailable, "The mailbox does not accept mail right now.", "The service retries automatically. If it is urgent, send a text message.", SwitchToSMS, NoAction},
		{SenderReputation, "The recipient's mail system does not accept mail from us right now.", "The service retries automatically. If it is urgent, send a text message.", SwitchToSMS, NoAction},
		{ProviderAccount, "The sending provider or Pipedream rejects our account: credentials, credit, limits or sender approval.", "An operator must fix the account. The message is queued and will be sent automatically.", CallOperator, NoAction},
		{ProviderDown, "The sending provider cannot accept the message right now.", "No action needed: the service retries automatically.", NoAction, NoAction},
		{SendingPaused, "Messages to this country or of this API key are paused.", "The message is queued and will be sent when a lead resumes sending. If it is urgent, send an email.", SwitchToEmail, NoAction},
		{LinkUnavailable, "Pipedream cannot issue a connect link right now.", "No action needed: the service retries automatically.", NoAction, NoAction},
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
		NoReceipt, OutcomeUnknown, DatabaseRestored,
		// A failure without a stated cause.
		ProviderRefused, SuppressedBefore, MailReturned,
		// It passes.
		ProviderDown, LinkUnavailable, DeferredByHost, TechnicalFailure, RateLimitedByHost, PhoneUnreachable,
		// It is ours to mend.
		MessageBroken, SendingPaused, ProviderAccount, SenderReputation, ContentRefused, CarrierFiltered, SenderNotRegistered, CountryNotEnabled,
		// The recipient's side cannot take it.
		MailboxUnavailable, Landline, InvalidNumber, NumberUnknown, AddressNotFound,
		// The person does not want it.
		Unsubscribed, OptedOut, MarkedSpam,
	}
}
