package contact_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestParseLocale(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"en": "en", "DE-at": "de-AT", "pt_BR": "pt-BR", "zh-hant-tw": "zh-Hant-TW", "iw": "he", "es-419": "es-419"} {
		if got, err := contact.ParseLocale(in); got != want || err != nil {
			t.Errorf("ParseLocale(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for in, kind := range map[string]contact.Kind{
		"": contact.Required, "und": contact.Invalid, "xx": contact.Invalid, "english": contact.Invalid, "en-XX-": contact.Invalid,
		"en_US.UTF-8": contact.Invalid, "x-canary": contact.Invalid, "*": contact.Invalid, "de, en": contact.Invalid,
		"../../etc": contact.Invalid, "en\x00": contact.Invalid, strings.Repeat("en-", 20): contact.TooLong,
	} {
		if got, err := contact.ParseLocale(in); got != "" || contact.KindOf(err) != kind {
			t.Errorf("ParseLocale(%q) = %q, %v (%s); want %s", in, got, err, contact.KindOf(err), kind)
		}
	}
}

func TestParseTimeZone(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "Asia/Kolkata"} {
		if got, err := contact.ParseTimeZone(in); err != nil || got.String() != in {
			t.Errorf("ParseTimeZone(%q) = %v, %v", in, got, err)
		}
	}
	for in, kind := range map[string]contact.Kind{
		"": contact.Required, "Local": contact.Invalid, "posixrules": contact.Invalid, "posix/Europe/Berlin": contact.Invalid,
		"right/UTC": contact.Invalid, "Berlin": contact.Invalid, "+02:00": contact.Invalid, "../zoneinfo/UTC": contact.Invalid,
		"/etc/passwd": contact.Invalid, "Europe/Berlin\x00": contact.Invalid, strings.Repeat("a", 65): contact.TooLong,
	} {
		got, err := contact.ParseTimeZone(in)
		if got != nil || contact.KindOf(err) != kind {
			t.Errorf("ParseTimeZone(%q) = %v, %v (%s); want %s", in, got, err, contact.KindOf(err), kind)
		}
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"pat@customer.example": "p••@c•••.example", "p@c.co.uk": "p••@c•••.uk", "patricia.long@x.com": "p••@x•••.com",
		"ä@ö.de": "ä••@ö•••.de", "": "•••", "pat": "•••", "@x.y": "•••", "pat@x": "•••", "pat@.x": "•••", "pat@x.": "•••",
	} {
		if got := contact.MaskEmail(in); got != want {
			t.Errorf("MaskEmail(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"+12025550123": "+1\u00a0•••\u00a023", "+4915123456789": "+49\u00a0•••\u00a089", "+15005550001": "+1\u00a0•••\u00a001", "+35812345678": "+358\u00a0•••\u00a078",
		"": "•••", "12025550123": "•••", "+1": "•••", "+1202555canary": "•••", "+123456789012345678": "•••", "+99912345678": "•••\u00a078",
	} {
		if got := contact.MaskPhone(in); got != want {
			t.Errorf("MaskPhone(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNameWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"José  d'Ávila-Pérez":  {"jose", "d", "avila", "perez"},
		"SAM sam Sam":          {"sam"},
		"Straße":               {"strasse"},
		"":                     nil,
		" - ":                  nil,
		"a b c d e f g h i j":  {"a", "b", "c", "d", "e", "f", "g", "h"},
		"山田 太郎":                {"山田", "太郎"},
		"\u202eSam\u200b\xff2": {"sam2"},
	} {
		if diff := cmp.Diff(want, contact.NameWords(in), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("NameWords(%q): %s", in, diff)
		}
	}
}

func TestOnList(t *testing.T) {
	t.Parallel()
	list := []string{"Pat@customer.example", "@team.example", "*@qa.example", " +12025550123 ", "", "@"}
	for address, want := range map[string]bool{
		"pat@customer.example": true, "PAT@CUSTOMER.EXAMPLE": true, "kim@customer.example": false,
		"any@team.example": true, "any@sub.team.example": false, "any@notteam.example": false, "x@qa.example": true,
		"+12025550123": true, "+12025550124": false, "": false, "team.example": false, "pat@": false,
	} {
		if got := contact.OnList(list, address); got != want {
			t.Errorf("OnList(%q) = %v, want %v", address, got, want)
		}
	}
}

func TestSuggestDomain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"gmial.com": "gmail.com", "gmai.com": "gmail.com", "gamil.com": "gmail.com", "gmail.con": "gmail.com", "gmail.co": "gmail.com",
		"gmial.con": "gmail.com", "gnail.com": "gmail.com", "gmailcom": "gmail.com", "GMIAL.com": "gmail.com", "gmail.com.com": "gmail.com",
		"hotmial.com": "hotmail.com", "hotmai.com": "hotmail.com", "homtail.com": "hotmail.com", "hotmail.cm": "hotmail.com",
		"outlok.com": "outlook.com", "outllok.com": "outlook.com", "yaho.com": "yahoo.com", "yahooo.com": "yahoo.com", "yaho.co.uk": "yahoo.co.uk",
		"iclod.com": "icloud.com", "icluod.com": "icloud.com", "protonmial.com": "protonmail.com", "comcast.ner": "comcast.net", "aol.con": "aol.com",
	} {
		if got, ok := contact.SuggestDomain(in); got != want || !ok {
			t.Errorf("SuggestDomain(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"gmail.com", "Yahoo.com", "ymail.com", "mail.com", "email.com", "hotmail.ca", "hotmail.it", "yahoo.ca", "outlook.de", "live.nl", "gmx.at",
		"customer.example", "connectlink.test", "acme.com", "aon.com", "gov.uk", "", "com", "a.b", "box.com", "zoho.com", strings.Repeat("gmail.com", 10),
	} {
		if got, ok := contact.SuggestDomain(in); ok || got != "" {
			t.Errorf("SuggestDomain(%q) = %q, want none", in, got)
		}
	}
}
