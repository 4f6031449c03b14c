package invite

import (
	"regexp"
	"strings"
)

// MailFault is what a mail server said of a message that it did not take, read
// alike for every provider of mail.
type MailFault struct {
	// Status is the enhanced status code beside the words, "5.1.1"; may be empty.
	Status string
	// Words are the server's own; may begin with a reply code.
	Words string
}

// Reason reads a fault: the enhanced status code, then one inside the words, then
// the words. It is MailReturned where none of them tells the cause, so that no
// address is taken for dead without a sign of it.
func (f MailFault) Reason() Reason {
	if r := mailCodeReason(f.Status); r != "" {
		return r
	}
	for _, code := range enhancedCodes(f.Words) {
		if r := mailCodeReason(code); r != "" {
			return r
		}
	}
	if r := mailWordsReason(f.Words); r != "" {
		return r
	}
	return MailReturned
}

// Delay returns the reason of a temporary refusal by a mail server.
func (f MailFault) Delay() Reason {
	for _, code := range append([]string{f.Status}, enhancedCodes(f.Words)...) {
		_, detail, _ := strings.Cut(code, ".")
		switch {
		case strings.HasPrefix(detail, "4."):
			return TechnicalFailure
		case detail == "2.1", detail == "2.2":
			return MailboxUnavailable
		}
	}
	words := strings.ToLower(addresses.ReplaceAllString(f.Words, " "))
	switch {
	case containsAny(words, "rate limit", "too many", "throttl", "slow down"):
		return RateLimitedByHost
	case containsAny(words, "over quota", "quota exceeded", "mailbox full", "mailbox is full"):
		return MailboxUnavailable
	case containsAny(words, "timed out", "timeout", "refused", "unreachable", "could not connect", "no route", "host not found"):
		return TechnicalFailure
	}
	return DeferredByHost
}

// mailCodeReason is the table of RFC 3463, with the codes registered since at
// https://www.iana.org/assignments/smtp-enhanced-status-codes. It is empty for a
// code that does not tell the cause. The class is not looked at: whether it is
// over is said by the status of the message.
func mailCodeReason(code string) Reason {
	_, detail, _ := strings.Cut(strings.TrimSpace(code), ".")
	subject, number, ok := strings.Cut(detail, ".")
	if !ok {
		return ""
	}
	switch subject {
	case "1":
		switch number {
		case "1", "2", "3", "6", "10": // no such mailbox, no such domain, bad syntax, moved, null MX
			return AddressNotFound
		case "7", "8": // the sender's address
			return SenderReputation
		}
	case "2":
		if number == "3" { // longer than the mailbox takes
			return ContentRefused
		}
		return MailboxUnavailable
	case "3":
		if number == "4" { // longer than the system takes
			return ContentRefused
		}
	case "6":
		return ContentRefused
	case "7":
		switch number {
		case "17", "18": // the mailbox or the domain has another owner now
			return ""
		}
		return SenderReputation
	}
	return "" // routing, protocol, and X.0.0
}

// enhanced finds codes such as 5.1.1 that stand on their own: not in an IP
// address or a version.
var enhanced = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])([45]\.[0-9]{1,3}\.[0-9]{1,3})(?:$|[^0-9A-Za-z.]|\.(?:$|[^0-9]))`)

func enhancedCodes(words string) []string {
	var out []string
	for _, m := range enhanced.FindAllStringSubmatch(words, 4) {
		out = append(out, m[1])
	}
	return out
}

// addresses are taken out of words before they are read: the name of a mailbox
// or of a domain must not decide.
var addresses = regexp.MustCompile(`<[^<>]*>|\S*@\S*|\bhttps?://\S*`)

// mailWordsReason reads the phrases of mail servers that give no code for the
// cause. Phrases about us or the content come first, because they mention
// mailboxes and users too.
func mailWordsReason(words string) Reason {
	words = strings.ToLower(addresses.ReplaceAllString(words, " "))
	for _, c := range []struct {
		reason Reason
		signs  []string
	}{
		{RateLimitedByHost, []string{"rate limit", "too many messages", "too many connections", "too many recipients", "throttl", "volume too high"}},
		{SenderReputation, []string{
			"blacklist", "blocklist", "block list", "black list", "denylist", "dnsbl", "spamhaus", "reputation", "unsolicited", "dmarc", "spf ", "dkim",
			"sender address rejected", "sender rejected", "sender denied", "client host", "your ip",
		}},
		{ContentRefused, []string{"spam", "virus", "malware", "phish", "content", "too large", "too big", "message size", "exceeds size"}},
		{MailboxUnavailable, []string{
			"over quota", "overquota", "quota exceeded", "exceeded storage", "exceeded its quota", "mailbox full", "mailbox is full", "inbox is full", "insufficient storage", "insufficient system storage",
			"out of storage", "account disabled", "is disabled", "mailbox disabled", "account suspended", "is suspended", "is inactive", "account inactive",
			"has been disabled", "has been suspended", "not accepting mail", "not accepting messages",
		}},
		{AddressNotFound, []string{
			"user unknown", "unknown user", "unknown recipient", "recipient unknown", "unknown mailbox", "mailbox unknown", "unknown address", "address unknown",
			"unknown local part", "unknown account", "no such user", "no such mailbox", "no such recipient", "no such address", "no such account", "no such person",
			"no such domain", "no such host", "no mailbox", "no account by that name", "user not found", "recipient not found", "mailbox not found",
			"address not found", "account not found", "host not found", "domain not found", "not a valid mailbox", "not a known user", "invalid mailbox",
			"invalid recipient", "does not exist", "doesn't exist", "doesn’t exist", "nonexistent", "non-existent", "unrouteable address", "unroutable address", "nxdomain",
			"does not have an account", "doesn't have a", "not exist", "no longer exists", "not listed in", "user doesn",
		}},
	} {
		if containsAny(words, c.signs...) {
			return c.reason
		}
	}
	return ""
}

// ReplyReason reads a refusal in an SMTP dialogue: as Reason does, and where that
// tells nothing, by the reply code (RFC 5321, 4.2.3). 550 and 553 are said of
// policy as well, so that alone they blame no mailbox.
func (f MailFault) ReplyReason(code int) Reason {
	if r := f.Reason(); r != MailReturned {
		return r
	}
	switch code {
	case 551:
		return AddressNotFound
	case 552:
		return MailboxUnavailable
	case 550, 553:
		return MailReturned
	}
	return ProviderRefused
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
