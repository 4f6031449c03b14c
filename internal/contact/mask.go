package contact

import (
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"github.com/connectlink/connectlink/internal/invite"
)

const (
	hidden = "•••"
	space  = "\u00a0"
)

// MaskEmail shows enough of an address for its owner to recognise it:
// "p••@c•••.example". The number of bullets is constant, so it does not
// reveal the length. Text that is no address becomes bullets only.
func MaskEmail(email string) string {
	at := strings.LastIndexByte(email, '@')
	dot := strings.LastIndexByte(email, '.')
	if at <= 0 || dot <= at+1 || dot == len(email)-1 {
		return hidden
	}
	return firstRune(email) + "••@" + firstRune(email[at+1:]) + hidden + email[dot:]
}

// MaskLocal shows the whole domain of an address, which is the company, and up
// to two letters before the @: "pa••••@customer.example". At least half of the
// local part stays hidden, and the number of bullets is constant. Text that is
// no address becomes bullets only.
func MaskLocal(email string) string {
	at := strings.LastIndexByte(email, '@')
	if MaskEmail(email) == hidden {
		return hidden
	}
	local := []rune(email[:at])
	return string(local[:max(1, min(2, len(local)/2))]) + "••••" + email[at:]
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

// MaskPhone shows the country code and the last two digits: "+1 ••• 00", with
// no-break spaces, because half a number reads like another one. Text that is
// no E.164 number becomes bullets only.
func MaskPhone(e164 string) string {
	if !strings.HasPrefix(e164, "+") || len(e164) < 8 || len(e164) > 16 {
		return hidden
	}
	tail := e164[len(e164)-2:]
	if strings.Trim(e164[1:], "0123456789") != "" {
		return hidden
	}
	number, err := phonenumbers.Parse(e164, "ZZ")
	if err != nil {
		return hidden + space + tail
	}
	code := strings.TrimSuffix(e164, phonenumbers.GetNationalSignificantNumber(number))
	if code == e164 {
		return hidden + space + tail
	}
	return code + space + hidden + space + tail
}

// Mask hides most of an address of a recipient's field.
func Mask(f invite.Field, address string) string {
	switch {
	case address == "":
		return ""
	case f == invite.FieldPhone:
		return MaskPhone(address)
	}
	return MaskEmail(address)
}
