package invite

import (
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// EventType names an entry of the timeline.
type EventType string

const (
	EventCreated             EventType = "created"
	EventLinkMinted          EventType = "link.minted"
	EventMintFailed          EventType = "link.mint_failed"
	EventFetched             EventType = "link.fetched" // the page was requested, by a person or a bot; changes nothing
	EventVisited             EventType = "link.visited"
	EventContinued           EventType = "link.continued"
	EventCopied              EventType = "link.copied" // by staff, to hand it over by hand; changes nothing
	EventConnectFailed       EventType = "connect_failed"
	EventConnected           EventType = "connected"
	EventConnectedAsOther    EventType = "connected_as_other"     // the account goes by an email address that is not the recipient's
	EventAlreadyConnected    EventType = "already_connected"      // another invite of the same person got the account
	EventConnectedLate       EventType = "connected_after_revoke" // needs attention; nothing is deleted unasked
	EventConnectionUnhealthy EventType = "connection.unhealthy"   // see Outcome, a HealthReason; Pipedream's words are in Detail
	EventConnectionRecovered EventType = "connection.recovered"
	EventReconnectInvited    EventType = "reconnect.invited" // an invite to connect the account again was made
	EventReconnectSkipped    EventType = "reconnect.skipped" // none was made for an unhealthy account; see Reason or Outcome
	EventExpired             EventType = "expired"
	EventResent              EventType = "resent"
	EventRenewed             EventType = "renewed"          // the recipient asked for a new link
	EventExtended            EventType = "extended"         // the end was moved, and nothing was sent
	EventReported            EventType = "reported"         // the recipient said that it is not for them; ends the invite
	EventReportWithdrawn     EventType = "report_withdrawn" // the recipient pressed that by mistake; the invite goes on
	EventAddressCorrected    EventType = "address_corrected"
	EventRevoked             EventType = "revoked"
	EventReplaced            EventType = "replaced"
	EventErased              EventType = "erased"           // the personal data was erased; ends an open invite
	EventVerifyRequested     EventType = "verify.requested" // the recipient wants a passcode
	EventVerifyPassed        EventType = "verify.passed"
	EventVerifyFailed        EventType = "verify.failed"
	EventFallback            EventType = "fallback"         // the other channel is tried
	EventFallbackSkipped     EventType = "fallback.skipped" // not possible; see Reason or Outcome
	EventReminded            EventType = "reminded"         // a reminder is sent
	// EventReplied: the person answered a text. Outcome is STOP, START, HELP,
	// "like_stop" or empty; the words are in Detail.
	EventReplied EventType = "reply.received"
	// EventOptedOut: on the page for ending messages, or by the button of their mail
	// program, the person ended the messages of Channel; EventOptedIn takes it back.
	EventOptedOut            EventType = "recipient.opted_out"
	EventOptedIn             EventType = "recipient.opted_in"
	EventReminderSkipped     EventType = "reminder.skipped" // no (further) reminder; see Reason or Outcome
	EventDeliveryQueued      EventType = "delivery.queued"
	EventDeliverySending     EventType = "delivery.sending" // an attempt was begun
	EventDeliveryRetry       EventType = "delivery.retry"   // it did not leave; it will be tried again
	EventDeliveryAccepted    EventType = "delivery.accepted"
	EventDeliverySent        EventType = "delivery.sent"
	EventDeliveryDeferred    EventType = "delivery.deferred"
	EventDeliveryDelivered   EventType = "delivery.delivered"
	EventDeliveryBounced     EventType = "delivery.bounced"
	EventDeliveryUndelivered EventType = "delivery.undelivered"
	EventDeliveryRejected    EventType = "delivery.rejected"
	EventDeliverySuppressed  EventType = "delivery.suppressed"
	EventDeliveryComplained  EventType = "delivery.complained"
	EventDeliveryUnknown     EventType = "delivery.unknown"
	EventDeliveryCanceled    EventType = "delivery.canceled" // the invite ended before it left
	EventDeliveryNoReceipt   EventType = "delivery.no_receipt"
)

// What Data.LooksLike says of who made a request.
const (
	LooksLikePerson       = "person"
	LooksLikeScanner      = "scanner"
	LooksLikePreviewRobot = "preview_robot"
)

// What Data.Outcome of a reply says where the person wrote a keyword of the carriers.
const (
	RepliedStop  = "STOP"
	RepliedStart = "START"
)

// DeliveryEvent returns the event type that reports a delivery status.
func DeliveryEvent(s DeliveryStatus) EventType { return EventType("delivery." + string(s)) }

// deliveryStatus is the status that an event about a delivery reports.
func (t EventType) deliveryStatus() (DeliveryStatus, bool) {
	switch t {
	case EventDeliveryQueued, EventDeliverySending, EventDeliveryAccepted, EventDeliverySent, EventDeliveryDeferred,
		EventDeliveryDelivered, EventDeliveryBounced, EventDeliveryUndelivered, EventDeliveryRejected,
		EventDeliverySuppressed, EventDeliveryComplained, EventDeliveryUnknown, EventDeliveryCanceled:
		return DeliveryStatus(t[len("delivery."):]), true
	}
	return "", false
}

// ActorKind is the kind of the actor of an event.
type ActorKind string

const (
	ActorKey       ActorKind = "key"
	ActorStaff     ActorKind = "staff"
	ActorRecipient ActorKind = "recipient"
	ActorProvider  ActorKind = "provider"
	ActorSystem    ActorKind = "system"
)

// Actor is who did something. ID is an opaque id or a provider's name, never an address.
type Actor struct {
	Kind ActorKind
	ID   string
}

// Event is one thing that happened to an invite.
type Event struct {
	ID         EventID
	Type       EventType
	Actor      Actor
	DeliveryID DeliveryID
	AttemptID  AttemptID
	LinkID     LinkID
	Data       Data
	// Detail is words of a person or a provider; sealed at rest.
	Detail secret.Text
	// At is when it happened, as the one who saw it says; zero means now.
	At time.Time
}

// Data is the open part of an event: ids and codes, never addresses, links or names.
type Data struct {
	Reason       Reason  `json:"reason,omitempty"`
	ProviderCode string  `json:"provider_code,omitempty"`
	Provider     string  `json:"provider,omitempty"`
	Channel      Channel `json:"channel,omitempty"`
	Kind         string  `json:"kind,omitempty"`       // of the delivery that was queued, where it is not the invite's own message
	LooksLike    string  `json:"looks_like,omitempty"` // person, scanner, preview_robot
	// Signs are what LooksLike was read from, with a request's method first.
	Signs []string `json:"signs,omitempty"`
	// SinceDelivery is how many seconds after its message left a link was asked for.
	SinceDelivery int        `json:"since_delivery_s,omitempty"`
	AccountID     string     `json:"account_id,omitempty"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`  // the invite's new end
	GivesUpAt     *time.Time `json:"gives_up_at,omitempty"` // with resent and renewed: bounds the wait for a link
	LinkExpires   *time.Time `json:"link_expires_at,omitempty"`
	RequestID     string     `json:"request_id,omitempty"`
	ReplacedBy    string     `json:"replaced_by,omitempty"`
	OtherInvite   string     `json:"other_invite,omitempty"`
	RetryAt       *time.Time `json:"retry_at,omitempty"`
	Attempt       int        `json:"attempt,omitempty"`
	Reminder      int        `json:"reminder,omitempty"` // its number
	Outcome       string     `json:"outcome,omitempty"`
	Cause         string     `json:"cause,omitempty"`  // of a failed connection: certificate_expired, dns_not_found
	Source        string     `json:"source,omitempty"` // how it was learnt: webhook, poll, page, callback, list
	Why           string     `json:"why,omitempty"`    // of staff's acts: a word of a pick list
	Bulk          string     `json:"bulk,omitempty"`   // the id of the act on many invites that it is a part of
	// Suppressed reports whether a recipient's report suppressed the address, and no
	// earlier fact did.
	Suppressed bool `json:"suppressed,omitempty"`
	// HasLink reports whether the invite holds a connect link after this event.
	HasLink bool `json:"has_link,omitempty"`
}
