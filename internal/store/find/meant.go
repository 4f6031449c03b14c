package find

import "github.com/connectlink/connectlink/internal/invite"

// Meant reports whether a text that was searched for is the address (ByEmail) or
// number (ByPhone) of a recipient but for a slip of the hand or another domain,
// and gives it in the form in which it is compared; By is empty where it is not.
func Meant(text, region string, r invite.Recipient) (by By, typed string) {
	wanted := soughtIn(understand(text, region))
	l := wanted.compare(r)
	switch {
	case l.slips > 0:
		return l.by, l.typed
	case l.by == ByEmail && len(wanted.emails) == 1:
		return l.by, wanted.emails[0]
	}
	return "", ""
}
