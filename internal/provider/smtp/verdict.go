package smtp

import (
	"errors"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// The codes of refusals that are ours.
const (
	codeNoTLS  = "starttls_missing"
	codeNoAuth = "auth_missing"
	codeAuth   = "auth_failed"
	codeNoUTF8 = "smtputf8_missing"
)

// verdict returns the meaning of an error at this stage for the message.
func (d *dialogue) verdict(err error) *provider.SendError {
	e := &provider.SendError{Provider: Provider, Outcome: provider.NotSent, Scope: provider.ScopeMessage}
	var reply *textproto.Error
	ours := func(code string, scope provider.Scope) {
		e.Outcome, e.Scope, e.ProviderCode, e.Err = provider.Refused, scope, code, err
	}
	switch {
	case d.stream != nil && d.stream.LeaseOver():
		// Of a message that ends with a dot the last byte is the refused one,
		// after any content.
		e.Err = wire.Strip(wire.ErrLeaseOver)
	case errors.Is(err, errNoTLS):
		ours(codeNoTLS, provider.ScopeAccount)
	case errors.Is(err, errNoAuth):
		ours(codeNoAuth, provider.ScopeAccount)
	case errors.Is(err, errNoUTF8):
		ours(codeNoUTF8, provider.ScopeMessage)
	case errors.As(err, &reply):
		d.answered(e, reply)
	default:
		fault := wire.Strip(err)
		e.Err = fault
		var f *wire.Fault
		switch {
		case d.stage == stageEnd && d.stream.Wrote():
			e.Outcome = provider.Unknown
		case d.stage == stageAuth && errors.As(fault, &f) && f.Kind == wire.KindProtocol:
			e.Outcome, e.Scope, e.ProviderCode = provider.Refused, provider.ScopeAccount, codeAuth
		}
	}
	return classifyError(e)
}

// answered reads a server's no. RFC 5321, 4.2.1: 4yz may be different next
// time, 5yz will not; with either the server has not taken the message.
func (d *dialogue) answered(e *provider.SendError, reply *textproto.Error) {
	e.ProviderCode = strings.TrimSpace(strconv.Itoa(reply.Code) + " " + enhancedCode(reply.Msg))
	e.Detail = secret.New(reply.Msg)
	about := provider.ScopeAccount // who we are, or what the server is up to
	if d.stage >= stageTo && !accountReply(reply.Code) && !aboutSender(reply.Msg) {
		about = provider.ScopeMessage
	}
	switch reply.Code / 100 {
	case 4:
		e.Outcome, e.Scope = provider.NotSent, about
	case 5:
		e.Outcome, e.Scope = provider.Refused, about
	default:
		// An answer to some other question.
		e.Scope = provider.ScopeAccount
		if d.stage == stageEnd {
			e.Outcome = provider.Unknown
		}
	}
}

// accountReply reports whether a reply concerns the account at every stage:
// the server goes down, wants a login, or limits the rate.
func accountReply(code int) bool {
	switch code {
	case 421, 454, 530, 534, 535, 538:
		return true
	}
	return false
}

// aboutSender reports whether a refusal names our sender, at any stage: Postfix
// refuses a sender only once a recipient is named (smtpd_delay_reject),
// Exchange and SendGrid after the whole message.
func aboutSender(words string) bool {
	switch _, detail, _ := strings.Cut(enhancedCode(words), "."); detail {
	case "1.7", "1.8", // the sender's address (RFC 3463)
		"7.8", "7.57", "7.60", "7.64": // no or wrong credentials; Exchange: not logged in, may not send as this sender, no relaying
		return true
	}
	words = strings.ToLower(words)
	for _, sign := range []string{
		"sender address rejected", "sender rejected", "sender denied", "sender verify failed", "not owned by user", "send as this sender", "sendasdenied",
		"relay access denied", "relaying denied", "relay denied", "relaying not allowed", "relay not permitted", "not permitted to relay", "unable to relay",
		"relaying is not", "authentication required", "not authenticated", "must authenticate", "client host rejected", "starttls",
		"sender identity", "from address", "address is not verified", "sending limit", "sending quota", "credits exceeded",
	} {
		if strings.Contains(words, sign) {
			return true
		}
	}
	return false
}

// enhancedCode is the code of RFC 3463 at the start of a reply, or nothing.
func enhancedCode(words string) string {
	code, _, _ := strings.Cut(words, " ")
	class, rest, _ := strings.Cut(code, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	for _, part := range []string{class, subject, detail} {
		if n, err := strconv.Atoi(part); err != nil || n < 0 || len(part) > 3 {
			return ""
		}
	}
	return code
}

// classifyError gives a failed call's error its reason.
func classifyError(e *provider.SendError) *provider.SendError {
	e.Reason = reasonOfCall(e)
	return e
}

// reasonOfCall is our reason for a failed call.
func reasonOfCall(e *provider.SendError) invite.Reason {
	switch {
	case e.Outcome == provider.Unknown:
		return invite.OutcomeUnknown
	case e.ProviderCode == codeUnsendable:
		return invite.MessageBroken
	case e.Outcome == provider.NotSent && e.Scope == provider.ScopeMessage && e.ProviderCode != "":
		return invite.DeferredByHost
	case e.Outcome == provider.NotSent:
		return invite.ProviderDown
	case e.Scope == provider.ScopeAccount:
		return invite.ProviderAccount
	case e.ProviderCode == codeNoUTF8:
		return invite.AddressNotFound
	}
	code, status, _ := strings.Cut(e.ProviderCode, " ")
	n, _ := strconv.Atoi(code)
	return invite.MailFault{Status: status, Words: e.Detail.Reveal()}.ReplyReason(n)
}
