package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
)

// optionFields are the names of the fields that most invites leave alone. Each is the last part of
// the pointer of its fault.
func optionFields() []string {
	return []string{
		"valid_for", "verify", "count", "after", "delay_s", "send_at", "initiated_by", "source", "if_active", "if_connected", "return_url", "oauth_app_id", "metadata",
	}
}

// options are the choices of the fields that most invites leave alone.
func (p *page) options(form url.Values) newOptions {
	const hour = 3600
	project := p.project
	life := project.DefaultValidFor
	if life == 0 {
		life = invite.DefaultExpiresIn
	}
	verify := p.t("no")
	if project.DefaultVerify == string(invite.VerifyCode) {
		verify = p.t("yes")
	}
	o := newOptions{
		Validity: []view.Choice{{Text: p.t("As the project says: %s", p.frame.Span(life))}},
		Verify: []view.Choice{
			{Text: p.t("As the project says: %s", verify)}, {Value: string(invite.VerifyCode), Text: p.t("Ask for a code")}, {Value: string(invite.VerifyNone), Text: p.t("Do not ask")},
		},
		Reminders: []view.Choice{{Text: p.t("As the project says: %s", strconv.Itoa(project.DefaultReminders))}},
		Fallback: []view.Choice{
			{Text: p.t("Never")}, {Value: string(invite.AfterFailure), Text: p.t("When the message fails")}, {Value: string(invite.AfterNotVisited), Text: p.t("When the link is not opened")},
		},
		IfActive: []view.Choice{
			{Text: p.t("Refuse this one")}, {Value: "return", Text: p.t("Keep the open one")}, {Value: "replace", Text: p.t("Replace it by this one")},
		},
		IfConnected: []view.Choice{
			{Text: p.t("Invite nevertheless")}, {Value: "error", Text: p.t("Refuse this one")},
		},
		Consent: project.SMSConsentRequired && p.by.Live,
	}
	for _, seconds := range []int{4 * hour, 24 * hour, 3 * 24 * hour, 7 * 24 * hour, 14 * 24 * hour, 30 * 24 * hour} {
		o.Validity = append(o.Validity, view.Choice{Value: strconv.Itoa(seconds), Text: p.lifeText(time.Duration(seconds) * time.Second)})
	}
	for n := range invite.MaxReminders + 1 {
		o.Reminders = append(o.Reminders, view.Choice{Value: strconv.Itoa(n), Text: strconv.Itoa(n)})
	}
	o.Delay = []view.Choice{{Text: p.t("After %s", p.frame.Span(invite.DefaultNotVisitedDelay))}}
	for _, after := range []time.Duration{15 * time.Minute, 3 * time.Hour, 24 * time.Hour} {
		o.Delay = append(o.Delay, view.Choice{Value: strconv.Itoa(int(after / time.Second)), Text: p.t("After %s", p.lifeText(after))})
	}
	for field, choices := range map[string][]view.Choice{
		"valid_for": o.Validity, "verify": o.Verify, "count": o.Reminders, "after": o.Fallback, "delay_s": o.Delay, "if_active": o.IfActive, "if_connected": o.IfConnected,
	} {
		for i := range choices {
			choices[i].Chosen = choices[i].Value == form.Get(field)
		}
	}
	return o
}

// lifeText is a duration of whole days, or of less than two, in words.
func (p *page) lifeText(d time.Duration) string {
	if days := int(d / (24 * time.Hour)); days >= 1 {
		return p.frame.TN("%d day", "%d days", days)
	}
	return p.frame.Span(d)
}

// readCreateRequest reads the request that a form is, and what of it cannot be read.
func (p *page) readCreateRequest(form url.Values) (issue.CreateRequest, []Fault) {
	get := func(field string) string { return strings.TrimSpace(form.Get(field)) }
	req := issue.CreateRequest{
		ExternalUserID: form.Get("external_user_id"), App: form.Get("app"), OAuthAppID: get("oauth_app_id"), Channel: form.Get("channel"),
		Reason: form.Get("reason"), Note: form.Get("note"), InitiatedBy: get("initiated_by"), ReturnURL: get("return_url"),
		IfActive: get("if_active"), IfConnected: get("if_connected"), Verify: get("verify"),
		Recipient: &issue.RecipientRequest{
			Email: get("email"), Phone: get("phone"), Name: form.Get("name"), Locale: get("locale"), TimeZone: get("time_zone"),
		},
	}
	if form.Get("inviter") != "" {
		req.Inviter = &issue.InviterRequest{Name: form.Get("inviter")}
	}
	if get("source") != "" {
		req.Recipient.SMSConsent = &issue.ConsentRequest{Source: get("source")}
	}
	var faults []Fault
	number := func(field string) *int {
		if get(field) == "" {
			return nil
		}
		n, err := strconv.Atoi(get(field))
		if err != nil {
			faults = append(faults, Fault{field, p.fieldName(field) + " " + p.t("This is not valid.")})
		}
		return &n
	}
	req.ValidFor = number("valid_for")
	if count := number("count"); count != nil {
		req.Reminders = &issue.RemindersRequest{Count: count}
	}
	if after := get("after"); after != "" {
		req.Fallback = &issue.FallbackRequest{Channel: otherChannel(req.Channel), After: after}
		if after == string(invite.AfterNotVisited) {
			req.Fallback.DelayS = number("delay_s")
		}
	}
	if text := get("send_at"); text != "" {
		at, err := time.ParseInLocation(minuteForm, text, zoneOrUTC(req.Recipient.TimeZone))
		if err != nil {
			faults = append(faults, Fault{"send_at", p.fieldName("send_at") + " " + p.t("Enter a date and a time, like 2026-11-30T09:00.")})
		}
		req.SendAt = &at
	}
	for line := range strings.Lines(form.Get("metadata")) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		switch key = strings.TrimSpace(key); {
		case line == "":
			continue
		case !ok || key == "":
			faults = append(faults, Fault{"metadata", p.fieldName("metadata") + " " + p.t("Enter one key=value on each line.")})
			continue
		}
		if req.Metadata == nil {
			req.Metadata = map[string]string{}
		}
		req.Metadata[key] = strings.TrimSpace(value)
	}
	return req, slices.CompactFunc(faults, func(a, b Fault) bool { return a == b })
}

// otherChannel is the first channel that an invite can fall back to from another.
func otherChannel(channel string) string {
	for _, c := range invite.Channels() {
		if string(c) != channel {
			return string(c)
		}
	}
	return ""
}

// zoneOrUTC is a zone by its name; UTC where there is none of that name, which is a fault of its own.
func zoneOrUTC(name string) *time.Location {
	zone, err := contact.ParseTimeZone(cmp.Or(name, "UTC"))
	if err != nil {
		return time.UTC
	}
	return zone
}

// zoneOf guesses the time zone of people in a country that has one; empty for others. The person
// who fills in the form sees the guess, and the message names the zone.
func zoneOf(region string) string {
	return map[string]string{
		"AE": "Asia/Dubai", "AT": "Europe/Vienna", "BE": "Europe/Brussels", "CH": "Europe/Zurich", "DE": "Europe/Berlin", "DK": "Europe/Copenhagen", "EG": "Africa/Cairo",
		"FI": "Europe/Helsinki", "FR": "Europe/Paris", "GB": "Europe/London", "GR": "Europe/Athens", "HK": "Asia/Hong_Kong", "IE": "Europe/Dublin", "IL": "Asia/Jerusalem",
		"IN": "Asia/Kolkata", "IT": "Europe/Rome", "JP": "Asia/Tokyo", "KE": "Africa/Nairobi", "KR": "Asia/Seoul", "NG": "Africa/Lagos", "NL": "Europe/Amsterdam",
		"NO": "Europe/Oslo", "PH": "Asia/Manila", "PL": "Europe/Warsaw", "SA": "Asia/Riyadh", "SE": "Europe/Stockholm", "SG": "Asia/Singapore", "TH": "Asia/Bangkok",
		"TR": "Europe/Istanbul", "ZA": "Africa/Johannesburg",
	}[region]
}
