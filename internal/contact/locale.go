package contact

import (
	"errors"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on what the host has installed

	"golang.org/x/text/language"
)

const (
	maxLocale = 35 // RFC 5646 4.4.1: what every implementation must take
	maxZone   = 64
)

// ParseLocale reads a language tag ("de", "pt-BR", "zh_hant_tw") and returns
// its canonical form. Errors are *Fault: Required, TooLong or Invalid.
func ParseLocale(s string) (string, error) {
	switch {
	case s == "":
		return "", &Fault{Kind: Required, Detail: "A language tag is needed."}
	case len(s) > maxLocale:
		return "", &Fault{Kind: TooLong, Detail: "A language tag has at most 35 characters."}
	}
	tag, err := language.Parse(s)
	if err != nil {
		var unknown language.ValueError
		if errors.As(err, &unknown) {
			return "", invalidFault("The language tag names a language, script or region that does not exist.")
		}
		return "", invalidFault("This is not a language tag such as en, de-AT or pt-BR.")
	}
	if base, confidence := tag.Base(); confidence == language.No || base.String() == "und" || tag.IsRoot() {
		return "", invalidFault("The language tag names no language.")
	}
	return tag.String(), nil
}

// ParseTimeZone reads an IANA zone name ("Europe/Berlin"). Names that stand
// for the host's own setting or exist only on some hosts are refused. Errors
// are *Fault: Required, TooLong or Invalid.
func ParseTimeZone(s string) (*time.Location, error) {
	switch {
	case s == "":
		return nil, &Fault{Kind: Required, Detail: "A time zone is needed."}
	case len(s) > maxZone:
		return nil, &Fault{Kind: TooLong, Detail: "A time zone's name has at most 64 characters."}
	case s == "Local" || s == "Factory" || s == "localtime" || s == "posixrules" ||
		strings.HasPrefix(s, "posix/") || strings.HasPrefix(s, "right/"):
		return nil, invalidFault("This is not an IANA time zone such as Europe/Berlin.")
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		// The error of the file system would quote the name.
		return nil, invalidFault("This is not an IANA time zone such as Europe/Berlin; names are case-sensitive.")
	}
	return zone, nil
}
