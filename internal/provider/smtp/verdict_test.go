package smtp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
)

// TestVerdicts: what each thing that can go wrong means. The answers are those
// of Postfix, Exim, Exchange and Amazon SES.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	const (
		notSent, no, unknown = provider.NotSent, provider.Refused, provider.Unknown
		account, msg         = provider.ScopeAccount, provider.ScopeMessage
	)
	for name, c := range map[string]struct {
		script  script
		outcome provider.Outcome
		scope   provider.Scope
		code    string
		reason  invite.Reason
	}{
		"greeting 421 too busy":                 {say("GREETING", "421 4.3.2 too busy"), notSent, account, "421 4.3.2", invite.ProviderDown},
		"greeting 554 no service":               {say("GREETING", "554 5.3.2 no SMTP here"), no, account, "554 5.3.2", invite.ProviderAccount},
		"greeting is not SMTP":                  {say("GREETING", "HTTP/1.1 400 Bad Request"), notSent, msg, "", invite.ProviderDown},
		"hangs up instead of greeting":          {say("GREETING", hangUp), notSent, msg, "", invite.ProviderDown},
		"resets instead of greeting":            {say("GREETING", reset), notSent, msg, "", invite.ProviderDown},
		"EHLO 550":                              {both("EHLO", "550 5.7.1 bad helo", "HELO", "550 5.7.1 bad helo"), no, account, "550 5.7.1", invite.ProviderAccount},
		"AUTH 535 wrong password":               {say("AUTH", "535 5.7.8 Error: authentication failed"), no, account, "535 5.7.8", invite.ProviderAccount},
		"AUTH 454 cannot look":                  {say("AUTH", "454 4.7.0 Temporary authentication failure"), notSent, account, "454 4.7.0", invite.ProviderDown},
		"AUTH is not offered":                   {script{without: []string{"AUTH"}}, no, account, "auth_missing", invite.ProviderAccount},
		"AUTH hangs up":                         {say("AUTH", hangUp), notSent, msg, "", invite.ProviderDown},
		"AUTH asks for more than it should":     {say("AUTH", "334 !!not base64"), no, account, "auth_failed", invite.ProviderAccount},
		"MAIL 421 shutting down":                {say("MAIL", "421 4.3.0 shutting down"), notSent, account, "421 4.3.0", invite.ProviderDown},
		"MAIL 451 try later":                    {say("MAIL", "451 4.3.0 try later"), notSent, account, "451 4.3.0", invite.ProviderDown},
		"MAIL 530 log in first":                 {say("MAIL", "530 5.7.0 Authentication required"), no, account, "530 5.7.0", invite.ProviderAccount},
		"MAIL 553 not your sender":              {say("MAIL", "553 5.7.1 Sender address rejected: not owned by user"), no, account, "553 5.7.1", invite.ProviderAccount},
		"MAIL hangs up":                         {say("MAIL", hangUp), notSent, msg, "", invite.ProviderDown},
		"MAIL answers something else":           {say("MAIL", "354 what"), notSent, account, "354", invite.ProviderDown},
		"RCPT 421":                              {say("RCPT", "421 4.7.0 too many connections"), notSent, account, "421 4.7.0", invite.ProviderDown},
		"RCPT 450 greylisted":                   {say("RCPT", "450 4.2.0 Greylisted, come back in 5 minutes"), notSent, msg, "450 4.2.0", invite.DeferredByHost},
		"RCPT 452 mailbox full for now":         {say("RCPT", "452 4.2.2 mailbox full"), notSent, msg, "452 4.2.2", invite.DeferredByHost},
		"RCPT 454 throttled":                    {say("RCPT", "454 Throttling failure: Maximum sending rate exceeded."), notSent, account, "454", invite.ProviderDown},
		"RCPT 550 no such user":                 {say("RCPT", "550 5.1.1 <pat1@customer.example>: User unknown"), no, msg, "550 5.1.1", invite.AddressNotFound},
		"RCPT 550 without more":                 {say("RCPT", "550 no"), no, msg, "550", invite.MailReturned},
		"RCPT 551 not here":                     {say("RCPT", "551 User not local"), no, msg, "551", invite.AddressNotFound},
		"RCPT 552 over quota":                   {say("RCPT", "552 over quota"), no, msg, "552", invite.MailboxUnavailable},
		"RCPT 550 mailbox disabled":             {say("RCPT", "550 5.2.1 disabled"), no, msg, "550 5.2.1", invite.MailboxUnavailable},
		"RCPT 554 policy":                       {say("RCPT", "554 5.7.1 blocked using a list"), no, msg, "554 5.7.1", invite.SenderReputation},
		"RCPT 550 by words":                     {say("RCPT", "550 No such user here"), no, msg, "550", invite.AddressNotFound},
		"RCPT 550 access denied":                {say("RCPT", "550 5.4.1 Recipient address rejected: Access denied"), no, msg, "550 5.4.1", invite.MailReturned},
		"RCPT 553 not your sender (Postfix)":    {say("RCPT", "553 5.7.1 <connect@brand.example>: Sender address rejected: not owned by user x"), no, account, "553 5.7.1", invite.ProviderAccount},
		"RCPT 550 sender's domain":              {say("RCPT", "550 5.1.8 <connect@brand.example>: Sender address rejected: Domain not found"), no, account, "550 5.1.8", invite.ProviderAccount},
		"RCPT 450 sender's domain":              {say("RCPT", "450 4.1.8 Sender address rejected: Domain not found"), notSent, account, "450 4.1.8", invite.ProviderDown},
		"RCPT 554 no relaying":                  {say("RCPT", "554 5.7.1 <pat1@customer.example>: Relay access denied"), no, account, "554 5.7.1", invite.ProviderAccount},
		"RCPT 550 no relaying (Exchange)":       {say("RCPT", "550 5.7.64 TenantAttribution; Relay Access Denied"), no, account, "550 5.7.64", invite.ProviderAccount},
		"DATA 550 not verified (SendGrid)":      {say(".", "550 The from address does not match a verified Sender Identity."), no, account, "550", invite.ProviderAccount},
		"DATA 554 not verified (SES)":           {say(".", "554 Message rejected: Email address is not verified."), no, account, "554", invite.ProviderAccount},
		"DATA 554 may not send as (Exchange)":   {say(".", "554 5.2.252 SendAsDenied; connect@brand.example not allowed to send as this sender"), no, account, "554 5.2.252", invite.ProviderAccount},
		"RCPT hangs up":                         {say("RCPT", hangUp), notSent, msg, "", invite.ProviderDown},
		"DATA 451":                              {say("DATA", "451 4.3.0 try later"), notSent, msg, "451 4.3.0", invite.DeferredByHost},
		"DATA 554":                              {say("DATA", "554 5.5.1 no valid recipients"), no, msg, "554 5.5.1", invite.ProviderRefused},
		"DATA hangs up":                         {say("DATA", hangUp), notSent, msg, "", invite.ProviderDown},
		"after the dot 421":                     {say(".", "421 4.3.2 shutting down"), notSent, account, "421 4.3.2", invite.ProviderDown},
		"after the dot 451":                     {say(".", "451 4.7.1 greylisted"), notSent, msg, "451 4.7.1", invite.DeferredByHost},
		"after the dot 454 throttled (SES)":     {say(".", "454 Throttling failure: Daily message quota exceeded."), notSent, account, "454", invite.ProviderDown},
		"after the dot 552 too big":             {say(".", "552 5.3.4 Message too big"), no, msg, "552 5.3.4", invite.ContentRefused},
		"after the dot 554 spam":                {say(".", "554 5.7.1 Message contains spam"), no, msg, "554 5.7.1", invite.SenderReputation},
		"after the dot 550 content":             {say(".", "550 5.6.0 bad content"), no, msg, "550 5.6.0", invite.ContentRefused},
		"after the dot 554 bare":                {say(".", "554 Message rejected"), no, msg, "554", invite.ProviderRefused},
		"after the dot it hangs up":             {say(".", hangUp), unknown, msg, "", invite.OutcomeUnknown},
		"after the dot it resets":               {say(".", reset), unknown, msg, "", invite.OutcomeUnknown},
		"after the dot it talks nonsense":       {say(".", "thanks!"), unknown, msg, "", invite.OutcomeUnknown},
		"after the dot half an answer":          {say(".", "2"), unknown, msg, "", invite.OutcomeUnknown},
		"after the dot an answer of some other": {say(".", "354 go on"), unknown, account, "354", invite.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, c.script)
			s := sender(t, srv, "smtp")
			m := outgoing(1)
			receipt, err := s.Send(t.Context(), m)
			se := refused(t, err)
			if receipt != (provider.Acceptance{}) {
				t.Errorf("a receipt %+v beside the error", receipt)
			}
			if se.Outcome != c.outcome || se.Scope != c.scope || se.ProviderCode != c.code || se.Reason != c.reason {
				t.Errorf("%s %s %q %s, want %s %s %q %s (cause %v)", se.Outcome, se.Scope, se.ProviderCode, se.Reason,
					c.outcome, c.scope, c.code, c.reason, se.Err)
			}
			if conns, _ := srv.heard(); conns != 1 {
				t.Errorf("%d connections: a sender must not repeat itself", conns)
			}
			for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
				for _, bad := range []string{password, "customer.example", "c/code"} {
					if text := fmt.Sprintf(format, err); strings.Contains(text, bad) {
						t.Errorf("%s prints %q", format, bad)
					}
					if se.Err != nil && strings.Contains(fmt.Sprintf(format, se.Err), bad) {
						t.Errorf("the cause prints %q with %s", bad, format)
					}
				}
			}
		})
	}
}

func say(verb, answer string) script { return script{answers: map[string]string{verb: answer}} }

func both(a, b, c, d string) script { return script{answers: map[string]string{a: b, c: d}} }
