package contact

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxEmail     = 254 // RFC 5321 4.5.3.1.3: a path of 256 with its brackets
	maxLocalPart = 64
	maxDomain    = 253
)

// ReadEmail is ParseEmail for a field that people fill: spaces around the address
// come along by copy and paste.
func ReadEmail(s string) (string, error) { return ParseEmail(strings.TrimSpace(s)) }

// ParseEmail reads an address and returns it with its domain as lower-case
// ASCII and its local part as typed. The package comment lists the refused
// forms. Errors are *Fault: Required, TooLong or Invalid.
func ParseEmail(s string) (string, error) {
	switch {
	case s == "":
		return "", &Fault{Kind: Required, Detail: "An email address is needed."}
	case len(s) > 4*maxEmail:
		return "", &Fault{Kind: TooLong, Detail: "An email address has at most 254 characters."}
	case !utf8.ValidString(s):
		return "", invalidFault("The email address is not valid UTF-8.")
	case severalAddresses(s):
		return "", invalidFault("These are several email addresses. Give one; make one invite for each recipient.")
	case strings.HasSuffix(s, ">") && strings.Contains(s, "<"):
		return "", invalidFault("Give the email address alone, without < and >; the name goes into recipient.name.")
	case strings.ContainsFunc(s, isUnseen):
		return "", invalidFault("The email address contains white space or invisible characters.")
	case strings.ContainsAny(s, "<>()"):
		return "", invalidFault("Give the bare email address, without a display name, brackets or comments.")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", invalidFault("The email address has no @.")
	}
	local, domain := s[:at], s[at+1:]
	if err := checkLocal(local); err != nil {
		return "", err
	}
	domain, err := parseDomain(domain)
	if err != nil {
		return "", err
	}
	if len(local)+1+len(domain) > maxEmail {
		return "", &Fault{Kind: TooLong, Detail: "An email address has at most 254 characters."}
	}
	return local + "@" + domain, nil
}

// severalAddresses reports whether s is a list, as mail programs separate them.
func severalAddresses(s string) bool {
	found := 0
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' || r == '，' || r == '；' || unicode.IsSpace(r) }) {
		if at := strings.IndexByte(part, '@'); at > 0 && at < len(part)-1 {
			found++
		}
	}
	return found > 1
}

func isUnseen(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || isInvisible(r)
}

func checkLocal(local string) error {
	switch {
	case local == "":
		return invalidFault("The email address has nothing before the @.")
	case len(local) > maxLocalPart:
		return &Fault{Kind: TooLong, Detail: "The part before the @ has at most 64 characters."}
	case local[0] == '.' || local[len(local)-1] == '.':
		return invalidFault("The part before the @ begins or ends with a dot.")
	case strings.Contains(local, ".."):
		return invalidFault("The part before the @ has two dots in a row.")
	}
	for i := range len(local) {
		if !isAtext(local[i]) && local[i] != '.' {
			return invalidFault("The part before the @ contains a character that mail providers refuse.")
		}
	}
	return nil
}

// isAtext is RFC 5322's: what may stand in an unquoted local part.
func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return strings.IndexByte("!#$%&'*+/=?^_`{|}~-", c) >= 0
	}
}

// parseDomain returns the domain as it would be looked up.
func parseDomain(domain string) (string, error) {
	switch {
	case domain == "":
		return "", invalidFault("The email address has nothing after the @.")
	case domain[0] == '[':
		return "", invalidFault("The part after the @ must be a domain name, not an address in brackets.")
	case strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, ".."):
		return "", invalidFault("The domain has a dot too many.")
	}
	ascii, err := idna.New(
		idna.MapForLookup(),
		idna.BidiRule(),
		idna.CheckJoiners(true),
		idna.CheckHyphens(true),
		idna.StrictDomainName(true),
		idna.ValidateLabels(true),
		idna.VerifyDNSLength(true),
		idna.Transitional(false),
	).ToASCII(domain)
	if len(ascii) > maxDomain {
		return "", &Fault{Kind: TooLong, Detail: "A domain has at most 253 characters."}
	}
	if err != nil {
		// The error quotes the label at fault.
		return "", invalidFault("The part after the @ is not a domain name.")
	}
	dot := strings.LastIndexByte(ascii, '.')
	if dot < 0 {
		return "", invalidFault("The part after the @ needs a dot, as in example.com.")
	}
	if !topLevel(ascii[dot+1:]) {
		return "", invalidFault("The domain does not end in a top-level domain such as .com.")
	}
	return ascii, nil
}

// topLevel reports whether a label can be a top-level domain: letters (RFC 3696
// section 2 and every delegation so far), or a punycode label.
func topLevel(label string) bool {
	if strings.HasPrefix(label, "xn--") {
		return true
	}
	for i := range len(label) {
		if label[i] < 'a' || label[i] > 'z' {
			return false
		}
	}
	return len(label) >= 2
}

// SearchEmail is the form addresses are hashed in for search and suppression:
// wholly lower-case, so that Pat@ and pat@ are found as one. It expects what
// ParseEmail returned and passes anything else through in lower case.
func SearchEmail(email string) string { return strings.ToLower(email) }

// EmailParts returns local part and domain in the form they are searched by.
// Without an @, everything is the local part.
func EmailParts(email string) (local, domain string) {
	email = SearchEmail(email)
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return email, ""
	}
	return email[:at], email[at+1:]
}
