package contact

import "strings"

// OtherMailbox reports whether an account's name is an email address other than
// the recipient's: the wrong account or another person may have been connected.
// Most accounts have names that are no addresses; for those it returns false.
//
// Spellings of one mailbox count as one: case, what follows a plus, and at Gmail
// dots and its second domain.
func OtherMailbox(recipient, account string) bool {
	to, err := ParseEmail(strings.TrimSpace(recipient))
	if err != nil {
		return false
	}
	has, err := ParseEmail(strings.TrimSpace(account))
	return err == nil && canonicalMailbox(to) != canonicalMailbox(has)
}

// canonicalMailbox is the one spelling that stands for all of a parsed address.
func canonicalMailbox(address string) string {
	local, domain := EmailParts(address)
	local, domain = strings.ToLower(local), strings.ToLower(domain)
	if base, _, tagged := strings.Cut(local, "+"); tagged && base != "" {
		local = base
	}
	if domain == "googlemail.com" {
		domain = "gmail.com"
	}
	if domain == "gmail.com" {
		local = strings.ReplaceAll(local, ".", "")
	}
	return local + "@" + domain
}
