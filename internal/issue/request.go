package issue

import (
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// CreateRequest is the body of POST /v1/invites.
type CreateRequest struct {
	// Kind is what the invite asks for: "invite" (the default) or "reconnect".
	Kind string `json:"kind,omitempty"`
	// AccountID is the account to reconnect; empty: the user's newest of the app.
	AccountID      string            `json:"account_id,omitempty"`
	ExternalUserID string            `json:"external_user_id"`
	App            string            `json:"app"`
	OAuthAppID     string            `json:"oauth_app_id,omitempty"`
	Channel        string            `json:"channel"`
	Recipient      *RecipientRequest `json:"recipient,omitempty"`
	Inviter        *InviterRequest   `json:"inviter,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	Note           string            `json:"note,omitempty"`
	InitiatedBy    string            `json:"initiated_by,omitempty"`
	ReturnURL      string            `json:"return_url,omitempty"`
	Fallback       *FallbackRequest  `json:"fallback,omitempty"`
	Reminders      *RemindersRequest `json:"reminders,omitempty"`
	LinkType       string            `json:"link_type,omitempty"`
	ExpiresIn      *int              `json:"expires_in,omitempty"` // seconds
	ValidFor       *int              `json:"valid_for,omitempty"`  // seconds
	SendAt         *time.Time        `json:"send_at,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	IfActive       string            `json:"if_active,omitempty"`
	IfConnected    string            `json:"if_connected,omitempty"`
	Verify         string            `json:"verify,omitempty"`
}

// RecipientRequest is the person who is to connect an account.
type RecipientRequest struct {
	Email      string          `json:"email,omitempty"`
	Phone      string          `json:"phone,omitempty"`
	Name       string          `json:"name,omitempty"`
	Locale     string          `json:"locale,omitempty"`
	TimeZone   string          `json:"time_zone,omitempty"`
	SMSConsent *ConsentRequest `json:"sms_consent,omitempty"`
}

// ConsentRequest is the evidence that the person agreed to get texts.
type ConsentRequest struct {
	Source     string     `json:"source"`
	ObtainedAt *time.Time `json:"obtained_at,omitempty"`
}

// InviterRequest is the person at the product who asks.
type InviterRequest struct {
	Name string `json:"name"`
}

// FallbackRequest asks for another channel when the first does not get through.
type FallbackRequest struct {
	Channel string `json:"channel"`
	After   string `json:"after"`
	DelayS  *int   `json:"delay_s,omitempty"`
}

// RemindersRequest asks to be reminded of a message that found no reader.
type RemindersRequest struct {
	Count *int `json:"count"`
}

// ResendRequest is the body of POST /v1/invites/{id}/resend; all of it is optional.
type ResendRequest struct {
	Channel   string            `json:"channel,omitempty"`
	Recipient *RecipientRequest `json:"recipient,omitempty"`
	Note      string            `json:"note,omitempty"`
}

// ReconnectRequest is the body of POST /v1/invites/{id}/reconnect; all of it is
// optional. What it leaves out is as in the invite that it reconnects.
type ReconnectRequest struct {
	Channel   string            `json:"channel,omitempty"`
	Recipient *RecipientRequest `json:"recipient,omitempty"`
	Inviter   *InviterRequest   `json:"inviter,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Note      string            `json:"note,omitempty"`
	ValidFor  *int              `json:"valid_for,omitempty"` // seconds
	IfActive  string            `json:"if_active,omitempty"`
}

// ExtendRequest is the body of POST /v1/invites/{id}/extend.
type ExtendRequest struct {
	ValidFor *int `json:"valid_for,omitempty"` // seconds from now
}

// RevokeRequest is the body of POST /v1/invites/{id}/revoke.
type RevokeRequest struct {
	Reason string `json:"reason,omitempty"`
}

// Meta is what a request brings beside its body.
type Meta struct {
	IdempotencyKey string // empty when the caller sent none
	// Body and IdempotencyKeyAsSent are the request as it came. Earlier versions
	// compared those bytes; their records live for 24 hours.
	Body                 []byte
	IdempotencyKeyAsSent string
	RequestID            string
	// Seen is the version of the invite that the asker looked at; 0: it does not
	// matter whether it has changed since.
	Seen  int
	Route string // "POST /v1/invites", to scope the key
	// part is the item of an act on many invites that the request carries out; nil: none.
	part *bulkPart
}

// limits of what recipients read, in characters.
const (
	maxUserID   = 250
	maxName     = 80
	maxReason   = 200
	maxNote     = 140
	maxMetadata = 50
)

// Limits of a name and a value of metadata, in characters.
const (
	MaxMetaKey  = 40
	MaxMetaText = 500
)

// order is a CreateRequest after validation: parsed, normalised, complete.
type order struct {
	kind           invite.Purpose
	account        string    // to reconnect; empty: a new one is connected
	reconnectOf    invite.ID // by which it was connected, where that is known
	externalUserID string
	sealUser       bool // store externalUserID sealed
	app            string
	oauthAppID     string
	channel        invite.Channel
	linkType       invite.LinkType
	verify         invite.Verify
	initiatedBy    invite.InitiatedBy
	expiresIn      time.Duration
	validFor       time.Duration
	ifActive       string
	ifConnected    string // return, error, or empty
	fallback       invite.Fallback
	reminders      int
	sendAt         time.Time // zero: now
	content        invite.Content
}
