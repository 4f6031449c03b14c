package invite

import "slices"

// Status is where an invite stands as a whole.
type Status string

const (
	Scheduled Status = "scheduled" // waits for its send_at
	Pending   Status = "pending"   // no connect link is held yet
	Active    Status = "active"    // a connect link is held
	Connected Status = "connected" // an account was confirmed; an end
	Expired   Status = "expired"   // an end, until it is resent
	Revoked   Status = "revoked"   // an end, for good
	Failed    Status = "failed"    // no message can get through; an end, until it is resent
)

// Open reports whether a recipient may still go on and connect.
func (s Status) Open() bool { return s == Scheduled || s == Pending || s == Active }

// Extendable reports whether the end of an invite can be moved: its link works. That of
// a failed invite does too, if a person received it in another way.
func (s Status) Extendable() bool { return s == Pending || s == Active || s == Failed }

// Statuses lists every Status, for filters and documents.
func Statuses() []Status {
	return []Status{Scheduled, Pending, Active, Connected, Expired, Revoked, Failed}
}

// Progress is how far the recipient got.
type Progress string

const (
	NotOpened     Progress = "none"
	Visited       Progress = "visited"        // a person, not a robot, saw the page
	Continued     Progress = "continued"      // pressed the button and was sent on
	ConnectFailed Progress = "connect_failed" // Pipedream reported an error
)

// Progresses lists every Progress, for filters.
func Progresses() []Progress { return []Progress{NotOpened, Visited, Continued, ConnectFailed} }

// DeliveryStatus is where one message stands.
type DeliveryStatus string

const (
	Queued      DeliveryStatus = "queued"
	Sending     DeliveryStatus = "sending"     // an attempt is open
	Accepted    DeliveryStatus = "accepted"    // the provider took it
	Sent        DeliveryStatus = "sent"        // the provider handed it on
	Deferred    DeliveryStatus = "deferred"    // the recipient's side asked to wait
	Delivered   DeliveryStatus = "delivered"   // the recipient's side took it
	Bounced     DeliveryStatus = "bounced"     // mail came back
	Undelivered DeliveryStatus = "undelivered" // a text could not be delivered
	Rejected    DeliveryStatus = "rejected"    // the provider refused it
	Suppressed  DeliveryStatus = "suppressed"  // the provider, or we, did not send: this address failed before
	Complained  DeliveryStatus = "complained"  // delivered, then marked as spam
	Canceled    DeliveryStatus = "canceled"    // the invite ended first
	Unknown     DeliveryStatus = "unknown"     // the provider's answer was lost
)

// DeliveryStatuses lists every DeliveryStatus.
func DeliveryStatuses() []DeliveryStatus {
	return []DeliveryStatus{Queued, Sending, Accepted, Sent, Deferred, Delivered, Bounced, Undelivered, Rejected,
		Suppressed, Complained, Canceled, Unknown}
}

// Ended reports whether nothing is left for dispatch to do.
func (s DeliveryStatus) Ended() bool { return s != Queued && s != Sending }

// Trying reports whether the message may still be delivered by what we or a
// provider do without being asked.
func (s DeliveryStatus) Trying() bool { return s == Queued || s == Sending || s == Deferred }

// DidNotArrive reports whether this message is known not to have reached its reader.
func (s DeliveryStatus) DidNotArrive() bool {
	return slices.Contains([]DeliveryStatus{Bounced, Undelivered, Rejected, Suppressed}, s)
}

// HasFate reports whether the outcome on the recipient's side is known, so
// that no provider is still trying to deliver the message.
func (s DeliveryStatus) HasFate() bool { return s.rank() >= Bounced.rank() }

// arrived reports whether this message is known to have come before its reader.
func (s DeliveryStatus) arrived() bool { return s == Delivered || s == Complained }

// rank orders statuses by how much they say; a fact never yields to one that
// says less. Unknown is below every other end because any evidence beats it,
// and Canceled is too, because a message may have left just before.
func (s DeliveryStatus) rank() int {
	switch s {
	case Queued:
		return 0
	case Sending:
		return 1
	case Canceled:
		return 2
	case Unknown:
		return 3
	case Accepted:
		return 4
	case Sent:
		return 5
	case Deferred:
		return 6
	case Bounced, Undelivered, Rejected, Suppressed:
		return 7
	case Delivered:
		return 8
	case Complained:
		return 9
	}
	return -1
}

// LinkType is the kind of URL in messages.
type LinkType string

const (
	InviteLink  LinkType = "invite"  // ours; it hands out a working connect link whenever it is opened
	ConnectLink LinkType = "connect" // Pipedream's own URL
)

// Purpose is what an invite asks for; callers know it as its kind.
type Purpose string

const (
	PurposeInvite    Purpose = "invite"    // to connect an account
	PurposeReconnect Purpose = "reconnect" // to connect an account again that was connected before
)

// Verify is the recipient verification before a Connect link is given out.
type Verify string

const (
	VerifyNone Verify = "none"
	// VerifyCode: six digits sent by the channel of the opened link, so that a
	// forwarded link connects no other person.
	VerifyCode Verify = "code"
)

// What a delivery carries.
const (
	KindFirst = "first"
	// KindReminder is of an earlier message, on whose fate the invite's depends.
	KindReminder = "reminder"
	KindResend   = "resend"
	// KindPasscode is a message with six digits and no link. What becomes of it
	// says nothing of how the invite stands.
	KindPasscode = "passcode"
)

// InitiatedBy is the party that started the connection.
type InitiatedBy string

const (
	ByProduct InitiatedBy = "product"
	ByUser    InitiatedBy = "user"
)
