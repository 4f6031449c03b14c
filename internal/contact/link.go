package contact

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// removeLinks removes links, and text that would be shown as a link, from one
// line. It judges pieces between white space, quotes and brackets in
// compatibility form, so that full-width letters and similar disguises of
// ASCII do not help.
func removeLinks(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for text != "" {
		end := strings.IndexFunc(text, isDivider)
		switch {
		case end < 0:
			end = len(text)
		case end == 0:
			for i, r := range text {
				if !isDivider(r) {
					break
				}
				end = i + len(string(r))
			}
			b.WriteString(text[:end])
			text = text[end:]
			continue
		}
		b.WriteString(unlinkPiece(text[:end]))
		text = text[end:]
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func isDivider(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(`<>"'()[]{},;|“”‘’«»‹›`, r)
}

// unlinkPiece returns the piece; nothing at all, where it is a link; or the piece
// with spaces put in where a dot joins two words.
//
// A bare host is not removed but separated: "Jan.de Vries", "monday.com" and
// "today.It" are hosts by form, and people's words. "monday. com" is followed by
// no mail program or phone.
func unlinkPiece(piece string) string {
	if isHarmless(piece) {
		return piece
	}
	// Ideographic full stops are dots in a host name, and ends of sentences
	// everywhere else; browsers follow the former.
	plain := asciiDots(lowerASCII(norm.NFKC.String(piece)))
	switch {
	case hasLink(plain) || hasLink(lowerASCII(piece)):
		return " "
	case hasHost(strings.ToLower(plain)) || hasHost(strings.ToLower(lowerASCII(piece))):
		return spaceAfterDots(norm.NFKC.String(piece), joinsLabels)
	case joinsWords(plain):
		// Not a host as far as anyone knows today, but "word.word" is what
		// linkers look for, and new top-level domains come every year.
		return spaceAfterDots(norm.NFKC.String(piece), splitsAt)
	}
	return piece
}

// hasLink reports whether s holds something that is a link and nothing else: a
// scheme, "www.", an address of mail, or a host with a port, path or query. It is
// asked twice, of the text in costume and without, because the costume decides
// where a word begins ("ﬁ" is no ASCII letter, the "fi" it stands for is).
func hasLink(s string) bool {
	if hasScheme(s) || startsWord(s, "www.") {
		return true
	}
	lower := strings.ToLower(s)
	if !strings.ContainsAny(lower, `/\@:?#`) || !hasHost(lower) {
		return false
	}
	if strings.Contains(lower, "@") || strings.Contains(lower, "//") || strings.Contains(lower, `\\`) {
		return true
	}
	// A mark at the end is punctuation: "Is it monday.com?"
	for rest := lower; ; {
		at := strings.IndexAny(rest, `/\:?#`)
		if at < 0 {
			return false
		}
		before := rest[:at]
		rest = rest[at+1:]
		if next, size := utf8.DecodeRuneInString(rest); size > 0 && goesOn(next) && hasHost(before[hostStart(before):]) {
			return true
		}
	}
}

// hostStart is where the last stretch of s begins that a host name could be.
func hostStart(s string) int {
	at := strings.LastIndexFunc(s, func(r rune) bool { return !hostRune(r) })
	if at < 0 {
		return 0
	}
	_, size := utf8.DecodeRuneInString(s[at:])
	return at + size
}

// lowerASCII leaves everything outside ASCII alone; strings.ToLower would make
// an ASCII letter of the Turkish capital I.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// isHarmless is the quick way out for ordinary words.
func isHarmless(piece string) bool {
	for i := range len(piece) {
		if !asciiAlnum(rune(piece[i])) && piece[i] != '-' && piece[i] != '!' && piece[i] != '?' {
			return false
		}
	}
	return !strings.Contains(strings.ToLower(piece), "hxxp")
}

func asciiDots(s string) string {
	if !strings.ContainsAny(s, "。｡．") {
		return s
	}
	runes := []rune(s)
	for i, r := range runes {
		if (r == '。' || r == '｡' || r == '．') && i > 0 && i+1 < len(runes) && asciiAlnum(runes[i-1]) && asciiAlnum(runes[i+1]) {
			runes[i] = '.'
		}
	}
	return string(runes)
}

func asciiAlnum(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// hasScheme finds "anything://" with slashes either way round, and the
// schemes that phones and browsers follow without slashes.
func hasScheme(plain string) bool {
	turned := strings.ReplaceAll(plain, `\`, "/")
	if strings.Contains(turned, "://") || strings.Contains(turned, ":/") && strings.Contains(turned, "http") {
		return true
	}
	for _, s := range []string{"http", "https", "ftp", "mailto", "tel", "sms", "smsto", "facetime", "javascript", "vbscript", "data", "file", "blob", "about", "intent", "market", "itms", "view-source"} {
		// "Customer data: …" is no link; there is something behind the colon
		// of one.
		if startsWord(plain, s+":") {
			return true
		}
	}
	return strings.Contains(plain, "hxxp")
}

// startsWord reports whether word stands in s with no ASCII letter or digit
// before it, which is where linkers see a word begin, and with something
// behind it.
func startsWord(s, word string) bool {
	for from := 0; ; {
		at := strings.Index(s[from:], word)
		if at < 0 {
			return false
		}
		at += from
		from = at + len(word)
		next, size := utf8.DecodeRuneInString(s[from:])
		if (at == 0 || !asciiAlnum(rune(s[at-1]))) && size > 0 && goesOn(next) {
			return true
		}
	}
}

func goesOn(r rune) bool { return r == '+' || r == '/' || unicode.IsLetter(r) || unicode.IsNumber(r) }

// hasHost finds a host name: labels joined by dots up to a known top-level
// domain, or an IP address. A name too short to be registered under a
// two-letter domain ("Dr.No", "a.m.to") is left to joinsWords.
func hasHost(plain string) bool {
	if dottedQuad(plain) {
		return true
	}
	for _, run := range hostRuns(plain) {
		labels := strings.Split(run, ".")
		for i := 1; i < len(labels); i++ {
			top := leadingWord(labels[i])
			if top == "" || labels[i-1] == "" || !knownTopLevel(top) {
				continue
			}
			if len(top) > 2 || len([]rune(labels[i-1])) > 2 || i > 1 && len(labels[i-2]) > 2 || strings.ContainsAny(plain, "/@:?#") {
				return true
			}
		}
	}
	return false
}

// dottedQuad finds four numbers joined by dots. How large they are is not
// asked: not every linker asks either.
func dottedQuad(plain string) bool {
	joined, digits := 0, false // dots with a number on their left, and what stands right of the last
	for i := range len(plain) {
		switch c := plain[i]; {
		case '0' <= c && c <= '9':
			digits = true
		case c == '.' && digits:
			joined, digits = joined+1, false
		default:
			joined, digits = 0, false
		}
		if joined == 3 && digits {
			return true
		}
	}
	return false
}

// hostRuns returns the longest stretches of characters that host names are
// made of.
func hostRuns(plain string) []string {
	return strings.FieldsFunc(plain, func(r rune) bool { return !hostRune(r) })
}

func hostRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || r == '.' || r == '-' || r == '_'
}

// leadingWord is what a linker would take for the top-level domain: the label
// up to the first character that cannot be part of one.
func leadingWord(label string) string {
	if strings.HasPrefix(label, "xn--") {
		return label
	}
	end := strings.IndexFunc(label, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
	if end < 0 {
		return label
	}
	return label[:end]
}

func knownTopLevel(label string) bool {
	if strings.HasPrefix(label, "xn--") {
		return true
	}
	for _, r := range label {
		if r > unicode.MaxASCII {
			// Top-level domains in other scripts are listed in punycode;
			// a dot between two words without a space is rare enough there.
			return false
		}
	}
	suffix, icann := publicsuffix.PublicSuffix("x." + label)
	return icann && suffix == label
}

// joinsWords reports whether a dot stands between a letter or digit and a word
// of two letters or more.
func joinsWords(plain string) bool {
	runes := []rune(plain)
	for i := range runes {
		if splitsAt(runes, i) {
			return true
		}
	}
	return false
}

func splitsAt(runes []rune, i int) bool {
	return runes[i] == '.' && i > 0 && i+2 < len(runes) && labelRune(runes[i-1]) &&
		unicode.IsLetter(runes[i+1]) && (unicode.IsLetter(runes[i+2]) || unicode.IsMark(runes[i+2]) || unicode.IsNumber(runes[i+2]) || runes[i+2] == '-')
}

// joinsLabels reports whether the dot at i stands between two labels of a host.
func joinsLabels(runes []rune, i int) bool {
	return runes[i] == '.' && i > 0 && i+1 < len(runes) && labelRune(runes[i-1]) && labelRune(runes[i+1])
}

func labelRune(r rune) bool { return r != '.' && hostRune(r) }

// spaceAfterDots separates what the dots join that splits names.
func spaceAfterDots(piece string, splits func([]rune, int) bool) string {
	runes := []rune(asciiDots(piece))
	var b strings.Builder
	for i, r := range runes {
		b.WriteRune(r)
		if splits(runes, i) {
			b.WriteByte(' ')
		}
	}
	return b.String()
}
