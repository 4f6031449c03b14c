package config

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// The checks describe the expected form of a value and never repeat the
// value, because it may be a secret on the wrong line.

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if w := strings.ToLower(s); slices.Contains(words, w) {
			return w, nil
		}
		if len(words) == 1 {
			return "", fmt.Errorf("want %s", words[0])
		}
		return "", fmt.Errorf("want %s or %s", strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
	}
}

// shortenText is text on one line.
func shortenText(limit int) func(string) (string, error) {
	return func(s string) (string, error) {
		if utf8.RuneCountInString(s) > limit || strings.ContainsFunc(s, unicode.IsControl) {
			return "", fmt.Errorf("want one line of at most %d characters", limit)
		}
		return s, nil
	}
}

// kmsURIs are the forms of a KMS key's URI, as Tink's integrations read them.
func kmsURIs() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`^aws-kms://arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$`),
		regexp.MustCompile(`^gcp-kms://projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+$`),
		regexp.MustCompile(`^hcvault://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._-]+)+/keys/[A-Za-z0-9._-]+$`),
	}
}

func checkKMSURI(s string) (string, error) {
	if slices.ContainsFunc(kmsURIs(), func(r *regexp.Regexp) bool { return r.MatchString(s) }) {
		return s, nil
	}
	return "", errors.New("want aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID, gcp-kms://projects/…/locations/…/keyRings/…/cryptoKeys/… or hcvault://HOST/MOUNT/keys/NAME")
}

func checkDatabaseURL(s string) error {
	if strings.Contains(s, "://") {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return errors.New("want postgres://user:password@host/name; special characters in the password must be %-encoded")
		}
		return nil
	}
	if !isKeywordList(s) {
		return errors.New("want postgres://user:password@host/name or host=… user=… dbname=…; a value with spaces, quotes or backslashes stands in single quotes, as in password='two words'")
	}
	return nil
}

// isKeywordList reports whether s is libpq's other form of a connection string:
// keywords and values, separated by white space; a value in single quotes may
// hold anything, with a backslash before a quote or a backslash.
func isKeywordList(s string) bool {
	s = strings.TrimSpace(s)
	if s == "" {
		return false
	}
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			return false
		}
		if s, ok = cutValue(strings.TrimLeft(rest, " \t\r\n")); !ok {
			return false
		}
	}
	return true
}

// cutValue returns what follows the value at the beginning of s, without the
// white space between.
func cutValue(s string) (rest string, ok bool) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++ // the escaped character belongs to the value
		case quoted && c == '\'':
			rest = s[i+1:]
			trimmed := strings.TrimLeft(rest, " \t\r\n")
			return trimmed, rest == "" || len(trimmed) < len(rest)
		case !quoted && strings.ContainsRune(" \t\r\n", rune(c)):
			return strings.TrimLeft(s[i:], " \t\r\n"), true
		}
	}
	return "", !quoted
}

func checkListen(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if n, nerr := strconv.Atoi(port); err != nil || nerr != nil || n < 0 || n > 65535 {
		return "", errors.New("want address:port, as 127.0.0.1:8080, or :8080 for every interface")
	}
	return s, nil
}

func checkProjectID(s string) (string, error) {
	ok := len(s) >= 1 && len(s) <= 40 && s[0] != '-' && s[0] != '_' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	if !ok {
		return "", errors.New("want at most 40 of a-z, 0-9, - and _, beginning with a letter or digit")
	}
	return s, nil
}

func checkColour(s string) (string, error) {
	hex := strings.TrimPrefix(strings.ToLower(s), "#")
	if len(hex) != 6 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", errors.New("want # and six hexadecimal digits, as #1d4ed8 (in YAML in quotes, because # begins a comment)")
	}
	return "#" + hex, nil
}

func checkRegion(s string) (string, error) {
	r, err := language.ParseRegion(s)
	if err != nil || len(s) != 2 || !r.IsCountry() {
		return "", errors.New("want a country's two-letter code, as US or DE")
	}
	return r.Canonicalize().String(), nil
}

func parseAbsoluteURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil || u.Fragment != "" {
		return nil, false
	}
	return u, isWebScheme(u.Scheme)
}

func checkHTTPS(s string) (string, error) {
	if u, ok := parseAbsoluteURL(s); !ok || u.Scheme != "https" {
		return "", errors.New("want a whole https address")
	}
	return s, nil
}

// checkEndpoint allows plain http towards this machine, for trying out.
func checkEndpoint(s string) (string, error) {
	if u, ok := parseAbsoluteURL(s); !ok || u.Scheme != "https" && !isLoopbackHost(u.Hostname()) {
		return "", errors.New("want a whole https address (http only on this machine)")
	}
	return s, nil
}

func checkAPIURL(s string) (string, error) {
	u, ok := parseAbsoluteURL(s)
	if !ok || u.RawQuery != "" {
		return "", errors.New("want the API's base address, as https://api.example.com")
	}
	return strings.TrimRight(s, "/"), nil
}

func checkHost(s string) (string, error) {
	host := strings.ToLower(s)
	if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.:") != "" {
		return "", errors.New("want a host name without https://, as pipedream.com")
	}
	return host, nil
}

func checkMailbox(s string) (string, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return "", errors.New("want a bare email address, as help@acme.example")
	}
	return s, nil
}

// checkSender leaves the name in; finish takes it apart.
func checkSender(s string) (string, error) {
	if _, err := mail.ParseAddress(s); err != nil {
		return "", errors.New("want connect@acme.example or Acme <connect@acme.example>")
	}
	return s, nil
}

func checkReturnURL(s string) (string, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" || strings.ContainsAny(s, " *") {
		return "", errors.New("want https://app.example.com/path or a custom scheme such as acme://; there are no wildcards")
	}
	scheme = strings.ToLower(scheme)
	if !isWebScheme(scheme) {
		if !IsAppScheme(scheme) {
			return "", errors.New("this scheme cannot be a place to return to")
		}
		if rest != "" {
			return "", errors.New("a custom scheme covers all of its addresses; write it as acme://")
		}
		return scheme + "://", nil
	}
	u, ok := parseAbsoluteURL(s)
	if !ok || u.RawQuery != "" || u.Scheme != "https" && !isLoopbackHost(u.Hostname()) {
		return "", errors.New("want an https address without a query (http only on this machine)")
	}
	return s, nil
}

// checkOrigin passes what a browser sends as Origin (RFC 6454, section 6.1): a
// scheme, a host and perhaps a port.
func checkOrigin(s string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.Contains(s, "*"):
		return "", errors.New("want an origin such as https://app.acme.example, without a path; there are no wildcards")
	case u.Scheme == "http" && !isLoopbackHost(u.Hostname()):
		return "", errors.New("want https, or the scheme of an app (http only on this machine)")
	}
	return strings.ToLower(u.Scheme + "://" + u.Host), nil
}

func checkRecipient(s string) (string, error) {
	domain, ok := strings.CutPrefix(strings.TrimPrefix(s, "*"), "@")
	switch {
	case ok && strings.Contains(domain, ".") && !strings.ContainsAny(domain, "@ *"):
		return strings.ToLower(s), nil
	case strings.HasPrefix(s, "+") && len(s) >= 8 && len(s) <= 16 && strings.Trim(s[1:], "0123456789") == "":
		return s, nil
	}
	if _, err := checkMailbox(s); err != nil {
		return "", errors.New("want pat@acme.example, @acme.example for everybody there, or a phone number as +12025550123")
	}
	return strings.ToLower(s), nil
}

func checkWebhookSecret(s string) error {
	body, ok := strings.CutPrefix(s, "whsec_")
	raw, err := base64.StdEncoding.DecodeString(body)
	if !ok || err != nil || len(raw) < 24 || len(raw) > 64 {
		return errors.New("want whsec_ and base64 of 24 to 64 bytes, as `openssl rand -base64 32` prints it")
	}
	return nil
}

func checkPublicKey(s string) (string, error) {
	der, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		var key any
		if key, err = x509.ParsePKIXPublicKey(der); err == nil {
			if _, ok := key.(*ecdsa.PublicKey); ok {
				return s, nil
			}
		}
	}
	return "", errors.New("want the verification key that SendGrid shows beside the signed event webhook (one line of base64, beginning with MFkw)")
}

func checkSMTPURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return errors.New("want smtps://user:password@host:465 or smtp://user:password@host:587")
	}
	return nil
}

// isLoopbackHost reports whether a host is this machine.
func isLoopbackHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
