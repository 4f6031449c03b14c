package find

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// Resource is an invite in the shape that callers see.
type Resource struct {
	ID                   invite.ID          `json:"id"`
	Object               string             `json:"object"`
	Livemode             bool               `json:"livemode"`
	PipedreamEnvironment string             `json:"pipedream_environment"`
	Status               invite.Status      `json:"status"`
	Progress             invite.Progress    `json:"progress"`
	Channel              invite.Channel     `json:"channel"`
	Recipient            *invite.Recipient  `json:"recipient"`        // null once erased
	ExternalUserID       *string            `json:"external_user_id"` // null only where Unreadable
	App                  AppResource        `json:"app"`
	OAuthAppID           *string            `json:"oauth_app_id"`
	Inviter              *InviterResource   `json:"inviter"`
	InitiatedBy          invite.InitiatedBy `json:"initiated_by"`
	Reason               *string            `json:"reason"`
	Note                 *string            `json:"note"`
	ConnectLinkURL       *string            `json:"connect_link_url"` // null without links:read, and while there is none
	ConnectLinkExpiresAt *time.Time         `json:"connect_link_expires_at"`
	// ConnectLinkOpenUntil: a connect link that was given out cannot be
	// cancelled; it works until then, in any status.
	ConnectLinkOpenUntil *time.Time         `json:"connect_link_open_until"`
	InviteLink           *InviteLink        `json:"invite_link"`
	LinkType             invite.LinkType    `json:"link_type"`
	Verify               invite.Verify      `json:"verify"`
	ExpiresAt            *time.Time         `json:"expires_at"`
	Delivery             *DeliveryResource  `json:"delivery"`
	Connection           *Connection        `json:"connection"`
	ResendCount          int                `json:"resend_count"`
	ReplacedBy           *string            `json:"replaced_by"`
	ReturnURL            *string            `json:"return_url"`
	Metadata             map[string]string  `json:"metadata"`
	Version              int                `json:"version"`
	CreatedAt            time.Time          `json:"created_at"`
	UpdatedAt            time.Time          `json:"updated_at"`
	RevokedAt            *time.Time         `json:"revoked_at"`
	SendAt               *time.Time         `json:"send_at"`   // when it is or was to be sent; null: at once
	Fallback             *FallbackResource  `json:"fallback"`  // as it was asked for, used or not
	Reminders            *RemindersResource `json:"reminders"` // null where none were asked for
	// Unreadable: a part of it cannot be opened with this service's keys, and is
	// left out; absent where all can be read.
	Unreadable bool       `json:"unreadable,omitempty"`
	ErasedAt   *time.Time `json:"erased_at"` // when the personal data was erased; external_user_id is an opaque token from then on
}

// AppResource is the app to be connected.
type AppResource struct {
	Slug    string  `json:"slug"`
	Name    string  `json:"name"`
	LogoURL *string `json:"logo_url"`
}

// InviterResource is the person at the product who asks.
type InviterResource struct {
	Name string `json:"name"`
}

// InviteLink is our own link to the recipient's page.
type InviteLink struct {
	URL string `json:"url"`
}

// FallbackResource is the other channel to turn to.
type FallbackResource struct {
	Channel invite.Channel       `json:"channel"`
	After   invite.FallbackAfter `json:"after"`
	DelayS  int                  `json:"delay_s"`
}

// RemindersResource is the number of reminders requested and sent.
type RemindersResource struct {
	Count int `json:"count"`
	Sent  int `json:"sent"`
}

// DeliveryResource is the latest message's standing.
type DeliveryResource struct {
	ID        invite.DeliveryID     `json:"id"`
	Channel   invite.Channel        `json:"channel"`
	Status    invite.DeliveryStatus `json:"status"`
	Provider  *string               `json:"provider"`
	Reason    *ReasonResource       `json:"reason"`
	UpdatedAt time.Time             `json:"updated_at"`
}

// ReasonResource says in words why a message did not do its work.
type ReasonResource struct {
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
	Mismatch bool `json:"mismatch"`
}

// Links selects the links in a Resource.
type Links struct {
	Show      bool   // the asker holds links:read, and asked for one invite
	PublicURL string // empty where no invite link can work
}

// Open decrypts an invite's content; the zero Content once it was erased.
func Open(box *seal.Box, id invite.ID, sealed []byte) (invite.Content, error) {
	var c invite.Content
	if sealed == nil {
		return c, nil
	}
	plain, err := box.Open(sealed, seal.AD{Column: "invites.content", ID: id.UUID()})
	if err != nil {
		return c, fmt.Errorf("open content of invite %s: %w: %w", id, ErrUnreadable, err)
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, fmt.Errorf("decode content of invite %s: %w: not the JSON that was stored", id, ErrUnreadable)
	}
	return c, nil
}

// ErrUnreadable means that a sealed value cannot be opened: it was cut off, or
// its key is no longer in the keyset.
var ErrUnreadable = errors.New("cannot be opened with this keyset")

// Present opens what the asker may see and gives an invite its public shape. What
// cannot be opened is left out and the invite is marked: one damaged row must not
// hide the others of a list.
func Present(box *seal.Box, inv Invite, links Links) (Resource, error) {
	content, err := Open(box, inv.ID, inv.Content)
	if err != nil {
		content, inv.Content = invite.Content{}, nil
	}
	unreadable := err != nil
	user, err := inv.OpenUser(box, inv.ID)
	if err != nil {
		unreadable = true
	}
	r := Resource{
		ID: inv.ID, Object: "invite", Livemode: inv.Live, PipedreamEnvironment: inv.Environment,
		Status: inv.Status, Progress: inv.Progress, Channel: inv.Channel, ExternalUserID: orNil(user),
		App:        AppResource{Slug: inv.AppSlug, Name: inv.AppName, LogoURL: orNil(inv.AppLogoURL)},
		OAuthAppID: orNil(inv.OAuthAppID), InitiatedBy: inv.InitiatedBy, Reason: orNil(content.Reason), Note: orNil(content.Note),
		LinkType: inv.LinkType, Verify: inv.Verify, ExpiresAt: utc(inv.ExpiresAt), ResendCount: inv.ResendCount,
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
		r.Inviter = &InviterResource{Name: content.Inviter}
	}
	if inv.Reminders > 0 {
		r.Reminders = &RemindersResource{Count: inv.Reminders, Sent: inv.Reminded}
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

func presentDelivery(inv Invite) *DeliveryResource {
	if inv.DeliveryID.IsZero() {
		return nil
	}
	return &DeliveryResource{
		ID: inv.DeliveryID, Channel: invite.Channel(*inv.DeliveryChannel), Status: invite.DeliveryStatus(*inv.DeliveryStatus),
		Provider: orNil(*inv.DeliveryProvider), Reason: PresentReason(invite.Reason(*inv.DeliveryReason), invite.DeliveryStatus(*inv.DeliveryStatus), *inv.DeliveryCode),
		UpdatedAt: inv.DeliveryUpdated.UTC(),
	}
}

// presentFallback returns the requested fallback. The row forgets the channel
// once the fallback was sent; it is always the other channel than the first
// message's.
func presentFallback(inv Invite) *FallbackResource {
	if inv.FallbackAfter == "" || inv.FirstChannel == nil {
		return nil
	}
	other := invite.SMS
	if *inv.FirstChannel == string(invite.SMS) {
		other = invite.Email
	}
	return &FallbackResource{Channel: other, After: invite.FallbackAfter(inv.FallbackAfter), DelayS: int(inv.FallbackDelayS)}
}

// PresentReason puts the reason of a delivery in this status into words; nil when
// there is none.
func PresentReason(r invite.Reason, s invite.DeliveryStatus, providerCode string) *ReasonResource {
	if r == "" {
		return nil
	}
	e, _ := invite.ExplainDelivery(r, s)
	return &ReasonResource{Code: r, Title: e.Title, Advice: e.Advice, Action: e.Action, OtherAction: e.Other, ProviderCode: providerCode}
}

func (r *Resource) connection(box *seal.Box, inv Invite, recipient string) error {
	if inv.AccountID == "" || inv.ConnectedAt == nil {
		return nil
	}
	r.Connection = &Connection{AccountID: inv.AccountID, ConnectedAt: inv.ConnectedAt.UTC()}
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

func (r *Resource) links(box *seal.Box, inv Invite, links Links) error {
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
