package traffic

import (
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
)

// Channel is the channel whose messages go to countries and ranges of numbers.
func Channel() invite.Channel {
	for _, s := range invite.Specs() {
		if s.Field == invite.FieldPhone {
			return s.Channel
		}
	}
	return ""
}

// prefixVaries is how many digits of a number vary within its prefix: a range of
// 100,000 numbers, in the size of those that carriers rent out.
const prefixVaries = 5

// PrefixOf returns the first digits of a number in E.164, by which a range of
// numbers is recognised; empty for a number so short that they would name a whole
// country, or several.
func PrefixOf(e164 string) string {
	prefix := e164[:max(0, len(e164)-prefixVaries)]
	if code := contact.CallingCode(e164); code == "" || len(prefix) <= len(code)+1 {
		return ""
	}
	return prefix
}

// CountryOf returns the ISO 3166 code of a number's country, "001" for none.
func CountryOf(e164 string) string { return contact.PhoneRegion(e164) }
