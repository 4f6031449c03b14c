package vonage

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

const (
	codeUnsendable = "unsendable"
	codeThrottled  = "1000"
	codeTooMany    = "1241"
)

// accountCodes mean our configuration, so that every text would meet them.
func accountCodes() []string {
	return []string{
		"1060", "1070", "1080", "1110", "1140", // barred, out of credit, not provisioned, wrong signature, a facility that is off
		"1120", // the sender is not accepted by local regulations
		"1130", // the ttl
		"1160", // a trial: only numbers on its list
		"low-balance", "unauthorized", "forbidden", "unprovisioned", "account-suspended", "invalid-api-key", "invalid-signature",
	}
}

// reasonOf is our reason for Vonage's code, by its text at
// https://developer.vonage.com/en/api-errors/messages. An unlisted code does not
// blame the recipient.
func reasonOf(code string) (invite.Reason, bool) {
	switch code {
	case "1170": // to is missing or invalid
		return invite.InvalidNumber, true
	case "1190": // no longer active
		return invite.NumberUnknown, true
	case "1240": // the person has sent STOP
		return invite.OptedOut, true
	case "1180", "1200", "1220", "1290", "1310": // switched off, being ported, busy, a prepaid phone without credit, a device that cannot
		return invite.PhoneUnreachable, true
	case "1050", "1210", "1270", "1280": // on a deny list, anti-spam, an age limit, the carrier
		return invite.CarrierFiltered, true
	case "1120":
		return invite.SenderNotRegistered, true
	case "1010", "1020", "1021", "1022", "1090", "1150": // parameters, length
		return invite.MessageBroken, true
	case codeThrottled, codeTooMany, "1030", "1100", "1230", "1360": // rates, faults of the platform or the network, the ttl ran out
		return invite.ProviderDown, true
	}
	if slices.Contains(accountCodes(), code) {
		return invite.ProviderAccount, true
	}
	return "", false
}

// classed gives a failed call's error its reason.
func classed(e *provider.SendError) *provider.SendError {
	switch {
	case e.Outcome == provider.Unknown:
		e.Reason = invite.OutcomeUnknown
	case e.Outcome == provider.NotSent:
		e.Reason = invite.ProviderDown
	case e.ProviderCode == codeUnsendable:
		e.Reason = invite.MessageBroken
	default:
		var known bool
		e.Reason, known = reasonOf(e.ProviderCode)
		switch {
		case e.Scope == provider.ScopeAccount && e.Reason != invite.SenderNotRegistered:
			e.Reason = invite.ProviderAccount
		case !known:
			e.Reason = invite.ProviderRefused
		}
	}
	return e
}

// problem is an error body, RFC 7807.
type problem struct {
	Type    string `json:"type"` // ends in "#" and the code
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Invalid []struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	} `json:"invalid_parameters"`
}

// verdict reads an answer that is not a success.
func (s *Sender) verdict(a answer) *provider.SendError {
	e := &provider.SendError{
		Provider: Provider, Outcome: provider.Outcome(wire.ClassifyStatus(a.status)), Scope: provider.ScopeMessage, HTTPStatus: a.status,
	}
	var fault problem
	if wire.IsJSON(a.header) && json.Unmarshal(a.body, &fault) == nil {
		_, code, _ := strings.Cut(fault.Type, "#")
		e.ProviderCode = wire.Code(code)
		words := []string{fault.Title, fault.Detail}
		for _, p := range fault.Invalid {
			words = append(words, p.Name+": "+p.Reason)
		}
		e.Detail = secret.New(strings.Trim(strings.Join(words, "; "), "; "))
	}
	if wire.Passing(a.status) {
		e.RetryAfter = wire.RetryAfter(a.header, s.p.Now())
	}
	throttled := (e.ProviderCode == codeThrottled || e.ProviderCode == codeTooMany) && e.Outcome == provider.Refused
	switch {
	case a.status == http.StatusTooManyRequests, throttled:
		// Not processed: "Please wait, then retry your request".
		e.Outcome, e.Scope = provider.NotSent, provider.ScopeAccount
	case a.status == http.StatusBadRequest, a.status == http.StatusUnprocessableEntity, a.status == http.StatusRequestEntityTooLarge:
		// Some codes mean another thing in an answer than in a status, such as 1100, an
		// unsupported channel: the words are read as well.
		if slices.Contains(accountCodes(), e.ProviderCode) || fault.namesSender() {
			e.Scope = provider.ScopeAccount
		}
	case a.status >= 300 && a.status < 500 && a.status != http.StatusRequestTimeout:
		e.Scope = provider.ScopeAccount
	}
	e = classed(e)
	if e.Reason == invite.MessageBroken && fault.namesOnly("to") {
		e.Reason = invite.InvalidNumber // an answer names the parameters that are wrong
	}
	return e
}

// namesOnly reports whether a refusal lists this parameter as wrong, and no other.
func (p problem) namesOnly(parameter string) bool {
	for _, one := range p.Invalid {
		if one.Name != parameter {
			return false
		}
	}
	return len(p.Invalid) > 0
}

var (
	sender    = regexp.MustCompile("(?i)[`'\"]from[`'\"]|\\bfrom (parameter|number|address)\\b|\\bsender\\b|webhook_url|client reference|\\bttl\\b|\\bchannel is not\\b|unsupported channel|application")
	recipient = regexp.MustCompile("(?i)[`'\"]to[`'\"]|\\bto (parameter|number)\\b|recipient")
)

// namesSender reports whether a refusal names what comes from configuration, and not
// the recipient.
func (p problem) namesSender() bool {
	words := p.Title + " " + p.Detail
	for _, one := range p.Invalid {
		words += " '" + one.Name + "' " + one.Reason
	}
	return sender.MatchString(words) && !recipient.MatchString(words)
}
