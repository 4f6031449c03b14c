package issue

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
)

var (
	slugPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,99}$`)
	accountPattern  = regexp.MustCompile(`^apn_[0-9A-Za-z]{1,100}$`)
	oauthAppPattern = regexp.MustCompile(`^oa_[A-Za-z0-9]{1,64}$`)
)

// faults gathers everything that is wrong with a request, so that its author
// hears of all of it at once.
type faults []invite.Fault

func (f *faults) add(pointer string, code invite.Code, format string, args ...any) {
	*f = append(*f, invite.Fault{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// contact takes over why an address was not accepted.
func (f *faults) contact(pointer string, err error) {
	fault := invite.Fault{Pointer: pointer, Code: invite.FaultInvalid, Detail: err.Error()}
	var c *contact.Fault
	if errors.As(err, &c) {
		fault.Code, fault.Suggestion = invite.Code(c.Kind), c.Suggestion
	}
	*f = append(*f, fault)
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	// One code of its own says more than "some field": callers branch on it.
	code, message := invite.CodeInvalidRequest, "The request has faults; each is listed with its place."
	if len(f) == 1 && special(f[0].Code) {
		code, message = f[0].Code, f[0].Detail
	}
	return &invite.Error{Code: code, Message: message, Faults: f}
}

func special(c invite.Code) bool {
	return slices.Contains([]invite.Code{
		invite.CodeNotYet, invite.CodePhoneTypeUnsupported, invite.CodeReturnURLNotAllowed, invite.CodeConsentMissing,
		invite.CodeRecipientNotListed, invite.CodeCountryNotAllowed, invite.CodeNumberTypeNotAllowed, invite.CodeUnknownApp, invite.CodeAppNeedsNoAccount,
	}, c)
}

// validate parses a create request. publicURL reports whether invite links can work here.
func validate(r CreateRequest, p access.Principal, project config.Project, publicURL string, now time.Time) (order, error) {
	var f faults
	o := order{
		externalUserID: r.ExternalUserID, sealUser: project.SealExternalUserID, app: r.App, oauthAppID: r.OAuthAppID,
		channel: invite.Channel(r.Channel), linkType: invite.LinkType(r.LinkType),
		initiatedBy: invite.InitiatedBy(r.InitiatedBy), ifActive: r.IfActive,
	}
	o.purpose(&f, r)
	switch n := utf8.RuneCountInString(r.ExternalUserID); {
	case strings.TrimSpace(r.ExternalUserID) == "":
		f.add("/external_user_id", invite.FaultRequired, "your own stable id of the user is required")
	case n > maxUserID:
		f.add("/external_user_id", invite.FaultTooLong, "at most %d characters, these are %d", maxUserID, n)
	}
	switch {
	case r.App == "":
		f.add("/app", invite.FaultRequired, "the app's name slug is required, for example slack or google_sheets")
	case !slugPattern.MatchString(r.App):
		f.add("/app", invite.FaultInvalid, "a name slug has only a-z, 0-9, _ and -")
	}
	if r.OAuthAppID != "" && !oauthAppPattern.MatchString(r.OAuthAppID) {
		f.add("/oauth_app_id", invite.FaultInvalid, "the id of an OAuth client begins with oa_")
	}
	oneOf(&f, "/channel", r.Channel, true, invite.ChannelNames(invite.AllChannels())...)
	if o.initiatedBy == "" {
		o.initiatedBy = invite.ByProduct
	}
	oneOf(&f, "/initiated_by", string(o.initiatedBy), true, "product", "user")
	oneOf(&f, "/if_active", r.IfActive, false, "error", "return", "replace")
	oneOf(&f, "/if_connected", r.IfConnected, false, "new", "return", "error")
	if r.IfConnected != "new" {
		o.ifConnected = r.IfConnected
	}
	o.lives(&f, r, project, publicURL)
	o.proof(&f, r, project)
	o.content.Recipient = recipient(&f, r.Recipient, o.channel, p, project)
	o.people(&f, r, project)
	o.later(&f, r, p, project, now)
	o.content.ReturnURL = returnURL(&f, r.ReturnURL, project, p, publicURL)
	o.content.Metadata = metadata(&f, r.Metadata)
	return o, f.err()
}

// purpose parses what an invite asks for.
func (o *order) purpose(f *faults, r CreateRequest) {
	oneOf(f, "/kind", r.Kind, false, string(invite.PurposeInvite), string(invite.PurposeReconnect))
	o.kind, o.account = cmp.Or(invite.Purpose(r.Kind), invite.PurposeInvite), r.AccountID
	if o.kind != invite.PurposeReconnect {
		if r.AccountID != "" {
			f.add("/account_id", invite.FaultNotAllowed, "only an invite of kind reconnect has an account to reconnect")
		}
		return
	}
	if r.AccountID != "" && !accountPattern.MatchString(r.AccountID) {
		f.add("/account_id", invite.FaultInvalid, "the id of a connected account begins with apn_")
	}
	if r.IfConnected == "return" || r.IfConnected == "error" {
		f.add("/if_connected", invite.FaultNotAllowed, "an invite of kind reconnect is for an account that is connected already")
	}
}

func oneOf(f *faults, pointer, value string, required bool, allowed ...string) {
	if value == "" {
		if required {
			f.add(pointer, invite.FaultRequired, "one of %s is required", strings.Join(allowed, ", "))
		}
		return
	}
	if !slices.Contains(allowed, value) {
		f.add(pointer, invite.FaultInvalid, "must be one of %s", strings.Join(allowed, ", "))
	}
}

func (o *order) lives(f *faults, r CreateRequest, project config.Project, publicURL string) {
	oneOf(f, "/link_type", r.LinkType, false, "invite", "connect")
	if o.linkType == "" {
		o.linkType = invite.InviteLink
		if publicURL == "" {
			o.linkType = invite.ConnectLink
		}
	}
	if o.linkType == invite.InviteLink && publicURL == "" {
		f.add("/link_type", invite.FaultNotAllowed, "this service has no public URL, so only link_type connect works")
	}
	o.expiresIn = invite.DefaultExpiresIn
	if r.ExpiresIn != nil {
		o.expiresIn = time.Duration(*r.ExpiresIn) * time.Second
		if o.expiresIn < time.Second || o.expiresIn > invite.MaxExpiresIn {
			f.add("/expires_in", invite.FaultOutOfRange, "must be 1 to %d seconds", int(invite.MaxExpiresIn.Seconds()))
		}
	}
	switch {
	case r.ValidFor == nil:
		if o.linkType == invite.InviteLink {
			o.validFor = project.DefaultValidFor
		}
	case o.linkType == invite.ConnectLink:
		f.add("/valid_for", invite.FaultNotAllowed, "a message with link_type connect carries Pipedream's own link, whose life is expires_in")
	default:
		o.validFor = validFor(f, *r.ValidFor)
	}
}

// validFor checks how long an invite link is to work.
func validFor(f *faults, seconds int) time.Duration {
	if seconds < int(invite.MinValidFor.Seconds()) || seconds > int(invite.MaxValidFor.Seconds()) {
		f.add("/valid_for", invite.FaultOutOfRange, "must be %d to %d seconds", int(invite.MinValidFor.Seconds()), int(invite.MaxValidFor.Seconds()))
	}
	return time.Duration(seconds) * time.Second
}

// proof parses verify. A project's default applies to messages with an invite
// link; a request that contradicts it is rejected, except for a link that the
// product shows to its own user.
func (o *order) proof(f *faults, r CreateRequest, project config.Project) {
	oneOf(f, "/verify", r.Verify, false, string(invite.VerifyNone), string(invite.VerifyCode))
	o.verify = invite.Verify(r.Verify)
	byDefault := o.verify == ""
	if byDefault {
		o.verify = invite.VerifyNone
		if project.DefaultVerify == string(invite.VerifyCode) && o.channel != invite.LinkOnly {
			o.verify = invite.VerifyCode
		}
	}
	switch {
	case o.verify != invite.VerifyCode:
	case o.channel == invite.LinkOnly:
		f.add("/verify", invite.FaultNotAllowed, "a code is sent by the channel by which the link came, and with channel link nothing is sent")
	case o.linkType == invite.ConnectLink && byDefault:
		f.add("/verify", invite.FaultNotAllowed, "this project asks for a code by default, and link_type connect leads past the page that would; use link_type invite, or say verify none")
	case o.linkType == invite.ConnectLink:
		f.add("/verify", invite.FaultNotAllowed, "link_type connect leads past the page that asks for the code; use link_type invite")
	}
}

// people takes over what recipients read: as text, without anything that could act
// as a link, ring a number or turn the line around, and what the project allows.
func (o *order) people(f *faults, r CreateRequest, project config.Project) {
	if r.Inviter != nil {
		o.content.Inviter = shown(f, "/inviter/name", r.Inviter.Name, maxName)
		if r.Inviter.Name == "" {
			f.add("/inviter/name", invite.FaultRequired, "an inviter needs a name")
		}
	}
	o.content.Reason = shown(f, "/reason", r.Reason, maxReason)
	o.content.Note = shown(f, "/note", r.Note, maxNote)
	limitText(&o.content, project)
}

func shown(f *faults, pointer, text string, limit int) string {
	if n := utf8.RuneCountInString(text); n > limit {
		f.add(pointer, invite.FaultTooLong, "at most %d characters, these are %d", limit, n)
	}
	return contact.CleanPublic(text, limit)
}

// limitText leaves out what the project lets no caller write to recipients.
func limitText(c *invite.Content, project config.Project) {
	switch project.FreeText {
	case config.FreeTextNone:
		c.Recipient.Name, c.Inviter, c.Reason, c.Note = "", "", "", ""
	case config.FreeTextInviter:
		c.Reason, c.Note = "", ""
	}
}

func recipient(f *faults, r *RecipientRequest, channel invite.Channel, p access.Principal, project config.Project) invite.Recipient {
	if r == nil {
		r = &RecipientRequest{}
	}
	var out invite.Recipient
	if strings.TrimSpace(r.Email) != "" {
		email, err := contact.ReadEmail(r.Email)
		if err == nil && !p.Live {
			err = sandbox.CheckEmail(email)
		}
		if err != nil {
			f.contact("/recipient/email", err)
		}
		out.Email = email
	} else {
		needs(f, channel, invite.FieldEmail)
	}
	if strings.TrimSpace(r.Phone) != "" {
		out.Phone = phone(f, r.Phone, p.Live, project)
	} else {
		needs(f, channel, invite.FieldPhone)
	}
	if channel.Spec().Field == invite.FieldPhone {
		textable(f, out.Phone, p, project)
	}
	out.Name = shown(f, "/recipient/name", r.Name, maxName)
	var err error
	if r.Locale != "" {
		if out.Locale, err = contact.ParseLocale(r.Locale); err != nil {
			f.contact("/recipient/locale", err)
		}
	}
	if r.TimeZone != "" {
		if zone, err := contact.ParseTimeZone(r.TimeZone); err != nil {
			f.contact("/recipient/time_zone", err)
		} else {
			out.TimeZone = zone.String()
		}
	}
	if c := r.SMSConsent; c != nil {
		if strings.TrimSpace(c.Source) == "" {
			f.add("/recipient/sms_consent/source", invite.FaultRequired, "say where the consent was given")
		}
		if n := utf8.RuneCountInString(c.Source); n > maxReason {
			f.add("/recipient/sms_consent/source", invite.FaultTooLong, "at most %d characters, these are %d", maxReason, n)
		}
		out.SMSConsent = &invite.Consent{Source: contact.Clean(c.Source, maxReason), ObtainedAt: c.ObtainedAt}
	} else if channel.Spec().NeedsConsent {
		consent(f, project, p)
	}
	if p.Live && p.Environment == "development" && !listed(out, project.DevelopmentRecipients) {
		f.add("/recipient", invite.CodeRecipientNotListed,
			"with Pipedream's development environment only the project's development_recipients may be written to")
	}
	return out
}

// needs demands the field that the channel sends to.
func needs(f *faults, channel invite.Channel, field invite.Field) {
	if channel.Spec().Field == field {
		f.add(field.Pointer(), invite.FaultRequired, "channel %s needs the recipient's %s", channel, fieldName(field))
	}
}

func fieldName(f invite.Field) string {
	if f == invite.FieldPhone {
		return "phone number"
	}
	return "address"
}

// consent demands evidence where the project says so.
func consent(f *faults, project config.Project, p access.Principal) {
	if project.SMSConsentRequired && p.Live {
		f.add("/recipient/sms_consent", invite.CodeConsentMissing, "this project texts people only with evidence of their consent")
	}
}

func phone(f *faults, raw string, livemode bool, project config.Project) string {
	parse := contact.ParsePhone
	if !livemode {
		parse = contact.ParsePhoneTest
	}
	p, err := parse(raw, project.Brand.Region)
	if err == nil && !livemode {
		err = sandbox.CheckPhone(p.E164)
	}
	if err != nil {
		f.contact("/recipient/phone", err)
	}
	return p.E164
}

// textable refuses numbers that the project sends no text messages to. In test mode
// none is sent to a phone.
func textable(f *faults, e164 string, p access.Principal, project config.Project) {
	if !p.Live || e164 == "" {
		return
	}
	number, err := contact.ParsePhone(e164, "")
	switch {
	case err != nil:
		f.contact("/recipient/phone", err)
	case number.IsAbused():
		f.add("/recipient/phone", invite.CodeNumberTypeNotAllowed,
			"is a %s number, to which no text messages are sent, because such numbers are used to earn money from them; use a mobile number or another channel", strings.ReplaceAll(number.Type, "_", " "))
	case !project.AllowsCountry(number.Region):
		f.add("/recipient/phone", invite.CodeCountryNotAllowed, "belongs to %s, to which the project sends no text messages; add it to %s",
			number.Country(), project.SettingName("limits.sms_countries"))
	}
}

// listed reports whether every address of a recipient is on a list.
func listed(r invite.Recipient, list []string) bool {
	for _, address := range []string{r.Email, r.Phone} {
		if address != "" && !contact.OnList(list, address) {
			return false
		}
	}
	return true
}

func returnURL(f *faults, raw string, project config.Project, p access.Principal, publicURL string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || len(raw) > 2000 || u.User != nil {
		f.add("/return_url", invite.FaultInvalid, "must be an absolute URL of at most 2000 characters, without user information")
		return ""
	}
	if !p.Live && (u.Scheme == "https" || config.IsAppScheme(u.Scheme)) && len(project.ReturnURLs) == 0 && !public(publicURL) {
		return raw // no app is registered yet, and only its developer opens this service
	}
	if loopback := net.ParseIP(u.Hostname()); !p.Live && (u.Scheme == "https" || u.Scheme == "http") &&
		(u.Hostname() == "localhost" || loopback != nil && loopback.IsLoopback()) {
		return raw // a developer's own machine
	}
	if !project.AllowsReturn(u) {
		f.add("/return_url", invite.CodeReturnURLNotAllowed,
			"return_url is not among the project's return_urls, which has %d entries; add it there or to CONNECTLINK_RETURN_URLS (https://app.example.com/path, or a custom scheme such as acme://)",
			len(project.ReturnURLs))
		return ""
	}
	return raw
}

// public reports whether other people reach this service: then a test key's link
// must not lead them anywhere its holder likes.
func public(publicURL string) bool { return strings.HasPrefix(publicURL, "https://") }

func metadata(f *faults, m map[string]string) map[string]string {
	if len(m) > maxMetadata {
		f.add("/metadata", invite.FaultTooLong, "at most %d keys, these are %d", maxMetadata, len(m))
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pointer := "/metadata/" + strings.ReplaceAll(strings.ReplaceAll(k, "~", "~0"), "/", "~1")
		if n := utf8.RuneCountInString(k); n == 0 || n > MaxMetaKey {
			f.add(pointer, invite.FaultTooLong, "a key has 1 to %d characters", MaxMetaKey)
		}
		if utf8.RuneCountInString(m[k]) > MaxMetaText {
			f.add(pointer, invite.FaultTooLong, "a value has at most %d characters", MaxMetaText)
		}
	}
	return m
}
