package resource

import (
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
)

// Invite is an invite in the shape that callers see.
type Invite struct {
	ID                   invite.ID          `json:"id"`
	Object               string             `json:"object"`
	Reference            string             `json:"reference"` // for the phone
	Livemode             bool               `json:"livemode"`
	Kind                 invite.Purpose     `json:"kind"`
	PipedreamEnvironment string             `json:"pipedream_environment"`
	Status               invite.Status      `json:"status"`
	Progress             invite.Progress    `json:"progress"`
	Channel              invite.Channel     `json:"channel"`
	Recipient            *invite.Recipient  `json:"recipient"`        // null once erased
	ExternalUserID       *string            `json:"external_user_id"` // null only where Unreadable
	App                  App                `json:"app"`
	OAuthAppID           *string            `json:"oauth_app_id"`
	Inviter              *Inviter           `json:"inviter"`
	InitiatedBy          invite.InitiatedBy `json:"initiated_by"`
	Reason               *string            `json:"reason"`
	Note                 *string            `json:"note"`
	ConnectLinkURL       *string            `json:"connect_link_url"` // null without links:read, and while there is none
	ConnectLinkExpiresAt *time.Time         `json:"connect_link_expires_at"`
	// ConnectLinkOpenUntil: a connect link that was given out cannot be
	// cancelled; it works until then, in any status.
	ConnectLinkOpenUntil *time.Time      `json:"connect_link_open_until"`
	InviteLink           *InviteLink     `json:"invite_link"`
	LinkType             invite.LinkType `json:"link_type"`
	Verify               invite.Verify   `json:"verify"`
	ExpiresAt            *time.Time      `json:"expires_at"`
	Delivery             *Delivery       `json:"delivery"`
	Connection           *Connection     `json:"connection"`
	ResendCount          int             `json:"resend_count"`
	ReplacedBy           *string         `json:"replaced_by"`
	// AccountID is the account that an invite of kind reconnect connects again; null
	// where a new one is connected.
	AccountID     *string           `json:"account_id"`
	ReconnectOf   *string           `json:"reconnect_of"`   // the invite by which the account was connected before
	ReconnectedBy *string           `json:"reconnected_by"` // the newest invite that asks to connect this one's account again
	ReturnURL     *string           `json:"return_url"`
	Metadata      map[string]string `json:"metadata"`
	Version       int               `json:"version"`
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`
	RevokedAt     *time.Time        `json:"revoked_at"`
	SendAt        *time.Time        `json:"send_at"`   // when it is or was to be sent; null: at once
	Fallback      *Fallback         `json:"fallback"`  // as it was asked for, used or not
	Reminders     *Reminders        `json:"reminders"` // null where none were asked for
	// Unreadable: a part of it cannot be opened with this service's keys, and is
	// left out; absent where all can be read.
	Unreadable bool       `json:"unreadable,omitempty"`
	ErasedAt   *time.Time `json:"erased_at"` // when the personal data was erased; external_user_id is an opaque token from then on
}

// App is the app to be connected.
type App struct {
	Slug    string  `json:"slug"`
	Name    string  `json:"name"`
	LogoURL *string `json:"logo_url"`
}

// Inviter is the person at the product who asks.
type Inviter struct {
	Name string `json:"name"`
}

// InviteLink is our own link to the recipient's page.
type InviteLink struct {
	URL string `json:"url"`
}

// Fallback is the other channel to turn to.
type Fallback struct {
	Channel invite.Channel       `json:"channel"`
	After   invite.FallbackAfter `json:"after"`
	DelayS  int                  `json:"delay_s"`
}

// Reminders is the number of reminders requested and sent.
type Reminders struct {
	Count int `json:"count"`
	Sent  int `json:"sent"`
}

// Delivery is the latest message's standing.
type Delivery struct {
	ID        invite.DeliveryID     `json:"id"`
	Channel   invite.Channel        `json:"channel"`
	Status    invite.DeliveryStatus `json:"status"`
	Provider  *string               `json:"provider"`
	Reason    *Reason               `json:"reason"`
	UpdatedAt time.Time             `json:"updated_at"`
}

// Reason says in words why a message did not do its work.
type Reason struct {
	Code         invite.Reason `json:"code"`
	Title        string        `json:"title"`
	Advice       string        `json:"advice"`
	Action       invite.Action `json:"action"`
	OtherAction  invite.Action `json:"other_action"`
	ProviderCode string        `json:"provider_code"`
}

// Connection is the connected account.
type Connection struct {
	AccountID   string    `json:"account_id"`
	Name        *string   `json:"name"`
	ConnectedAt time.Time `json:"connected_at"`
	// Mismatch: the account goes by an email address that is not the recipient's.
	Mismatch bool   `json:"mismatch"`
	Health   Health `json:"health"`
}

// Health is how a connected account does at Pipedream, as far as it was asked.
type Health struct {
	Status    invite.Health        `json:"status"`
	CheckedAt *time.Time           `json:"checked_at"`
	Since     *time.Time           `json:"since"` // when the status was first seen
	Reason    *invite.HealthReason `json:"reason"`
	Error     *string              `json:"error"` // in Pipedream's words
}

// Links selects the links in an Invite.
type Links struct {
	Show      bool   // the asker holds links:read, and asked for one invite
	PublicURL string // empty where no invite link can work
}

// Present opens what the asker may see and gives an invite its public shape. What
// cannot be opened is left out and the invite is marked: one damaged row must not
// hide the others of a list.
func Present(box *seal.Box, inv find.Invite, links Links) (Invite, error) {
	content, err := find.Open(box, inv.ID, inv.Content)
	if err != nil {
		content, inv.Content = invite.Content{}, nil
	}
	unreadable := err != nil
	user, err := inv.OpenUser(box, inv.ID)
	if err != nil {
		unreadable = true
	}
	r := Invite{
		ID: inv.ID, Object: "invite", Reference: invite.ReferenceOf(inv.ID), Livemode: inv.Live, PipedreamEnvironment: inv.Environment,
		Status: inv.Status, Progress: inv.Progress, Channel: inv.Channel, ExternalUserID: orNil(user),
		App:        App{Slug: inv.AppSlug, Name: inv.AppName, LogoURL: orNil(inv.AppLogoURL)},
		OAuthAppID: orNil(inv.OAuthAppID), InitiatedBy: inv.InitiatedBy, Reason: orNil(content.Reason), Note: orNil(content.Note),
		LinkType: inv.LinkType, Verify: inv.Verify, ExpiresAt: utc(inv.ExpiresAt), ResendCount: inv.ResendCount,
		Kind: inv.Kind, AccountID: orNil(inv.ReconnectAccount), ReconnectOf: orNil(inv.ReconnectOf.String()), ReconnectedBy: orNil(inv.ReconnectedBy.String()),
		ReplacedBy: orNil(inv.ReplacedBy.String()), ReturnURL: orNil(content.ReturnURL), Metadata: content.Metadata,
		Version: inv.Version, CreatedAt: inv.CreatedAt.UTC(), UpdatedAt: inv.UpdatedAt.UTC(), RevokedAt: utc(inv.RevokedAt), SendAt: utc(inv.SendAt),
		ConnectLinkOpenUntil: utc(inv.OpenUntil), ErasedAt: utc(inv.ErasedAt),
	}
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	if inv.Content != nil {
		r.Recipient = &content.Recipient
	}
	if content.Inviter != "" {
		r.Inviter = &Inviter{Name: content.Inviter}
	}
	if inv.Reminders > 0 {
		r.Reminders = &Reminders{Count: inv.Reminders, Sent: inv.Reminded}
	}
	r.Delivery, r.Fallback = presentDelivery(inv), presentFallback(inv)
	if err := r.connection(box, inv, content.Recipient.Email); err != nil {
		unreadable = true
	}
	if err := r.links(box, inv, links); err != nil {
		unreadable = true
	}
	r.Unreadable = unreadable
	return r, nil
}

func presentDelivery(inv find.Invite) *Delivery {
	if inv.DeliveryID.IsZero() {
		return nil
	}
	return &Delivery{
		ID: inv.DeliveryID, Channel: invite.Channel(*inv.DeliveryChannel), Status: invite.DeliveryStatus(*inv.DeliveryStatus),
		Provider: orNil(*inv.DeliveryProvider), Reason: PresentReason(invite.Reason(*inv.DeliveryReason), invite.DeliveryStatus(*inv.DeliveryStatus), *inv.DeliveryCode),
		UpdatedAt: inv.DeliveryUpdated.UTC(),
	}
}

// presentFallback returns the requested fallback. The row forgets the channel
// once the fallback was sent; it is always the other channel than the first
// message's.
func presentFallback(inv find.Invite) *Fallback {
	if inv.FallbackAfter == "" || inv.FirstChannel == nil {
		return nil
	}
	return &Fallback{Channel: invite.Channel(*inv.FirstChannel).Other(), After: invite.FallbackAfter(inv.FallbackAfter), DelayS: int(inv.FallbackDelayS)}
}

// PresentReason puts the reason of a delivery in this status into words; nil when
// there is none.
func PresentReason(r invite.Reason, s invite.DeliveryStatus, providerCode string) *Reason {
	if r == "" {
		return nil
	}
	e, _ := invite.ExplainDelivery(r, s)
	return &Reason{Code: r, Title: e.Title, Advice: e.Advice, Action: e.Action, OtherAction: e.Other, ProviderCode: providerCode}
}

func (r *Invite) connection(box *seal.Box, inv find.Invite, recipient string) error {
	if inv.AccountID == "" || inv.ConnectedAt == nil {
		return nil
	}
	r.Connection = &Connection{AccountID: inv.AccountID, ConnectedAt: inv.ConnectedAt.UTC()}
	if err := r.health(box, inv); err != nil {
		return err
	}
	if inv.AccountName == nil {
		return nil
	}
	name, err := box.Open(inv.AccountName, seal.AD{Column: "invites.account_name", ID: inv.ID.UUID()})
	if err != nil {
		return fmt.Errorf("open account name of invite %s: %w", inv.ID, err)
	}
	r.Connection.Name, r.Connection.Mismatch = orNil(string(name)), contact.OtherMailbox(recipient, string(name))
	return nil
}

func (r *Invite) health(box *seal.Box, inv find.Invite) error {
	h := Health{Status: invite.HealthUnknown}
	if inv.Health != nil {
		h.Status, h.CheckedAt, h.Since = invite.Health(*inv.Health), utc(inv.HealthCheckedAt), utc(inv.HealthSince)
		if *inv.HealthReason != "" {
			reason := invite.HealthReason(*inv.HealthReason)
			h.Reason = &reason
		}
	}
	r.Connection.Health = h
	if inv.HealthError == nil {
		return nil
	}
	words, err := box.Open(inv.HealthError, seal.AD{Column: "connections.error", ID: inv.HealthInvite.UUID()})
	if err != nil {
		return fmt.Errorf("open the error of the account of invite %s: %w", inv.ID, err)
	}
	r.Connection.Health.Error = orNil(string(words))
	return nil
}

func (r *Invite) links(box *seal.Box, inv find.Invite, links Links) error {
	if inv.LinkExpiresAt != nil {
		at := inv.LinkExpiresAt.UTC()
		// Pipedream's own words for the end are shown as they came; the
		// database's version of it, which may differ by the clocks' skew, is
		// what the machine decides by.
		if raw, err := time.Parse(time.RFC3339Nano, *inv.LinkExpiresRaw); err == nil {
			at = raw.UTC()
			if inv.ExpiresAt != nil && inv.ExpiresAt.Equal(*inv.LinkExpiresAt) {
				r.ExpiresAt = &at
			}
		}
		r.ConnectLinkExpiresAt = &at
	}
	if !links.Show {
		return nil
	}
	var failed error
	// A connect link skips the verification.
	if inv.LinkURL != nil && inv.Verify != invite.VerifyCode {
		url, err := box.Open(inv.LinkURL, seal.AD{Column: "connect_links.url", ID: inv.LinkID.UUID()})
		if err != nil {
			failed = fmt.Errorf("open link %s: %w", inv.LinkID, err)
		}
		r.ConnectLinkURL = orNil(string(url))
	}
	// A scheduled link must not be opened: its validity would begin too early.
	if inv.Code != nil && links.PublicURL != "" && inv.Status != invite.Scheduled {
		code, err := box.Open(inv.Code, seal.AD{Column: "codes.code", ID: *inv.CodeID})
		if err != nil {
			return fmt.Errorf("open code of invite %s: %w", inv.ID, err)
		}
		r.InviteLink = &InviteLink{URL: InviteURL(links.PublicURL, secret.New(string(code))).Reveal()}
	}
	return failed
}

// InviteURL is where an invite link with this code leads.
func InviteURL(publicURL string, code secret.Text) secret.Text {
	return secret.New(publicURL + "/c/" + code.Reveal())
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
