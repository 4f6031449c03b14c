package console

import (
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// faults puts a use case's refusal into words, each at its field.
func (p *page) faults(e *invite.Error, now time.Time) []Fault {
	if e.Code == invite.CodeResendTooSoon {
		in := time.Duration(e.RetryAfterS) * time.Second
		return []Fault{{"channel", p.t("A message to this person was just sent. You can send again in %s, at %s UTC.", p.frame.Span(in), now.Add(in).UTC().Format("15:04:05"))}}
	}
	if e.Code == invite.CodeLimitExceeded && e.Limit != nil {
		return []Fault{{"channel", p.limitText(e, now)}}
	}
	var out []Fault
	for _, f := range e.Faults {
		field := fieldOf(f.Pointer)
		text := p.fieldName(field) + " " + p.detail(f.Code, f.Detail)
		if f.Code == invite.CodeRecipientSuppressed || f.Code == invite.CodeRecipientOptedOut {
			text = p.detail(f.Code, f.Detail)
		}
		if f.Suggestion != "" && !strings.Contains(f.Detail, f.Suggestion) {
			text += " " + p.t("Did you mean %s?", f.Suggestion)
		}
		if !slices.Contains(formFields(), field) {
			field = "channel"
		}
		out = append(out, Fault{field, text})
	}
	switch {
	case e.Code == invite.CodeUnknownApp:
		out = []Fault{{"app", p.t("Pipedream has no app with this name.")}}
	case e.Code == invite.CodeAppNeedsNoAccount && len(out) == 0:
		out = []Fault{{"app", p.t("This app needs no account, so there is nothing to connect.")}}
	case e.Code == invite.CodeNotExtendable:
		out = []Fault{{"valid_for", p.detail(e.Code, e.Message)}}
	case len(out) == 0:
		out = []Fault{{"channel", p.detail(e.Code, e.Message)}}
	}
	return out
}

// limitText tells which sending limit refused a message, and until when.
func (p *page) limitText(e *invite.Error, now time.Time) string {
	in := time.Duration(e.RetryAfterS) * time.Second
	at := now.Add(in).UTC().Format("2006-01-02 15:04")
	switch {
	case e.Limit.Scope == "invite":
		return p.t("This invite was resent %s times, the maximum. Create a new one.", e.Limit.Max)
	case e.Limit.Scope == "recipient" && in == 0:
		return p.t("More messages to this person were allowed already in the last 24 hours.")
	case e.Limit.Scope == "recipient":
		return p.t("This person was sent %s messages, the maximum for now. You can send again in %s, at %s UTC.", e.Limit.Max, p.frame.Span(in), at)
	}
	return p.t("A sending limit of the project is reached: %s. You can send again at %s UTC.", e.Limit.Name, at)
}

// fieldOf is the field of our forms that the place of a fault is about.
func fieldOf(pointer string) string {
	for prefix, field := range map[string]string{"/fallback/channel": "after", "/metadata/": "metadata", "/recipient/sms_consent": "source", "/inviter/": "inviter"} {
		if strings.HasPrefix(pointer, prefix) {
			return field
		}
	}
	return pointer[strings.LastIndexByte(pointer, '/')+1:]
}

// formFields are the names of fields on our forms.
func formFields() []string {
	return append(optionFields(), "channel", "email", "phone", "note", "reason", "external_user_id", "app", "name", "locale", "time_zone", "inviter", "why")
}

func (p *page) fieldName(field string) string {
	switch field {
	case "email":
		return p.t("Email address:")
	case "phone":
		return p.t("Phone number:")
	case "note":
		return p.t("Note:")
	case "external_user_id":
		return p.t("User id:")
	case "app":
		return p.t("App:")
	case "name":
		return p.t("Name:")
	case "reason":
		return p.t("Reason:")
	case "channel":
		return p.t("Channel:")
	case "locale":
		return p.t("Language:")
	case "time_zone":
		return p.t("Time zone:")
	case "inviter":
		return p.t("Invited by:")
	case "valid_for":
		return p.t("Valid for:")
	case "verify":
		return p.t("One-time code:")
	case "count":
		return p.t("Reminders:")
	case "after", "fallback":
		return p.t("Other channel:")
	case "delay_s":
		return p.t("Wait:")
	case "send_at":
		return p.t("Send at:")
	case "source":
		return p.t("Consent to text messages:")
	case "return_url":
		return p.t("Return address:")
	case "oauth_app_id":
		return p.t("OAuth client:")
	case "metadata":
		return p.t("Metadata:")
	}
	return field + ":"
}

// detail is what a use case says about a fault. It says so in English, with the
// cause in every detail; in other languages what the fault's code means is said,
// for an English sentence in such a page is none.
func (p *page) detail(code invite.Code, english string) string {
	if p.frame.Lang == "en" {
		return english
	}
	switch code { //nolint:exhaustive // the others never come of a form
	case invite.FaultRequired:
		return p.t("This field is required.")
	case invite.FaultInvalid, invite.FaultWrongType, invite.CodeInvalidRequest, invite.CodeReturnURLNotAllowed:
		return p.t("This is not valid.")
	case invite.FaultTooLong:
		return p.t("This is too long.")
	case invite.FaultOutOfRange:
		return p.t("This is outside the allowed range.")
	case invite.FaultNotAllowed:
		return p.t("This is not allowed here.")
	case invite.CodeRecipientSuppressed:
		return p.t("This address is blocked. Check its suppression, or use another address.")
	case invite.CodeRecipientOptedOut:
		return p.t("This person opted out of this channel. Only they can undo it; use the other channel.")
	case invite.CodeRecipientNotListed:
		return p.t("In test mode, this address is not on the list of allowed recipients.")
	case invite.CodeConsentMissing:
		return p.t("Consent to text messages is missing.")
	case invite.CodePhoneTypeUnsupported:
		return p.t("This type of number cannot receive text messages.")
	case invite.CodeCountryPaused, invite.CodeKeyPaused:
		return p.t("Messages there are paused now; see Pauses.")
	case invite.CodeUnknownApp:
		return p.t("Pipedream has no app with this name.")
	case invite.CodeAppNeedsNoAccount:
		return p.t("This app needs no account, so there is nothing to connect.")
	case invite.CodeActiveInviteExists:
		return p.t("There is already an open invite for this person and app.")
	case invite.CodeNotResendable:
		return p.t("This invite can no longer be resent. Create a new one.")
	case invite.CodeNotExtendable:
		return p.t("This invite cannot be extended. Resend it, or create a new one.")
	case invite.CodeNotRevocable, invite.CodeInviteEnded:
		return p.t("This invite can no longer be revoked.")
	case invite.CodeAlreadyConnected:
		return p.t("This person is already connected.")
	case invite.CodeRateLimited:
		return p.t("Too many requests. Wait a moment, then try again.")
	case invite.CodeMintFailed:
		return p.t("Pipedream issued no connect link. Try again; if it fails again, tell an operator.")
	}
	return p.t("This could not be done. Check the form again.")
}
