package contact_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"an ordinary name":                {"Sam Rivera", "Sam Rivera"},
		"an ordinary reason":              {"so that we can post your daily report (9 a.m.), as agreed.", "so that we can post your daily report (9 a.m.), as agreed."},
		"initials":                        {"J.R.R. Tolkien, Ph.D.", "J.R.R. Tolkien, Ph.D."},
		"prices and versions":             {"v2.0 costs $3.50, 1.5kg", "v2.0 costs $3.50, 1.5kg"},
		"accents":                         {"Zoë Åström-Núñez", "Zoë Åström-Núñez"},
		"other scripts":                   {"محمد 山田太郎 Ελένη", "محمد 山田太郎 Ελένη"},
		"a Japanese sentence":             {"接続してください。よろしく", "接続してください。よろしく"},
		"an ellipsis":                     {"well...then", "well...then"},
		"emoji":                           {"Thanks 🎉", "Thanks 🎉"},
		"a time":                          {"at 14:30:00 today", "at 14:30:00 today"},
		"decomposed accents are composed": {"Zoe\u0308", "Zoë"},
		"a link":                          {"go to https://evil.example/login?x=1 now", "go to now"},
		"a link in capitals":              {"HTTPS://EVIL.EXAMPLE", ""},
		"a link in brackets":              {"look (https://evil.com) here", "look ( ) here"},
		"another scheme":                  {"slack://open and ftp://x", "and"},
		"hxxp":                            {"hxxp://evil.com hxxps[:]//evil", "[:]//evil"},
		"backslashes":                     {`http:\\evil`, ""},
		"one slash":                       {"http:/evil", ""},
		"no slashes":                      {"javascript:alert(1)", "(1)"},
		"mailto":                          {"write mailto:x@y", "write"},
		"tel":                             {"ring tel:+19002345678", "ring"},
		"www":                             {"see www.evil", "see"},
		"www behind a slash":              {"//www.evil", ""},
		"a bare domain":                   {"Your bank: evil.com", "Your bank: evil. com"},
		"a bare domain with a path":       {"bit.ly/xyz", ""},
		"a bare domain ends the sentence": {"Go to evil.com.", "Go to evil. com."},
		"a country's domain":              {"evil.co.uk", "evil. co. uk"},
		"a subdomain":                     {"a.b.c.evil.org", "a. b. c. evil. org"},
		"a new top-level domain":          {"evil.zip evil.app", "evil. zip evil. app"},
		"a host with a port":              {"evil.io:8080", ""},
		"an email address":                {"pat@evil.com", ""},
		"an IP address":                   {"192.0.2.7/x", ""},
		"punycode":                        {"evil.xn--p1ai", "evil. xn--p1ai"},
		"joined by punctuation":           {"now!evil.com!now", "now!evil. com!now"},
		"a domain continued":              {"evil.com-now evil.com_now", "evil. com-now evil. com_now"},
		"full-width letters":              {"ｅｖｉｌ．ｃｏｍ", "evil. com"},
		"mathematical letters":            {"𝖊𝖛𝖎𝖑.𝖈𝖔𝖒", "evil. com"},
		"an ideographic full stop":        {"evil。com", "evil. com"},
		"a one-dot leader":                {"evil․com", "evil. com"},
		"a zero-width space inside":       {"evil\u200b.c\u200com", "evil. com"},
		"a soft hyphen inside":            {"ev\u00adil.com", "evil. com"},
		"a variation selector inside":     {"evil.\ufe00com", "evil. com"},
		"data that is no scheme":          {"Customer data: all of it", "Customer data: all of it"},
		"a hotel":                         {"the hotel:x", "the hotel:x"},
		"a missing space":                 {"Done.Then we talk", "Done. Then we talk"},
		"a doctor":                        {"Dr.No", "Dr. No"},
		"a link inside a link":            {"hthttps://x ttp://evil.com", ""},
		"new lines":                       {"Sam\r\nBcc: x\n\n\tRivera", "Sam Bcc: x Rivera"},
		"separators of lines":             {"a\u2028b\u2029c\u0085d", "a b c d"},
		"wide and no-break spaces":        {"a\u00a0\u3000b", "a b"},
		"control characters":              {"a\x00b\x1b[31mc\x7f", "ab[31mc"},
		"direction overrides":             {"\u202eabc\u202c \u2066x\u2069 \u200f", "abc x"},
		"zero width":                      {"\ufeffa\u200bb\u200cc\u200dd\u2060", "abcd"},
		"tag characters":                  {"a\U000e0062\U000e0067b", "ab"},
		"fillers":                         {"a\u3164\u115f\u2800b", "ab"},
		"invalid UTF-8":                   {"a\xffb\xc3", "ab"},
		"stacked accents":                 {"Z" + strings.Repeat("\u0336", 40) + "o", "Z\u0336\u0336\u0336o"},
		"private use":                     {"a\ue000b", "ab"},
		"nothing visible":                 {"\u200b \n", ""},
		"markup stays, to be escaped":     {"<b>Sam</b>", "<b>Sam</b>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := contact.Clean(tc.in, 200); got != tc.want {
				t.Fatalf("Clean(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

// TestF10WordsJoinedByADotKeepEveryWord: a bare host is separated, because people
// and companies are written like hosts. A link proper is taken out.
func TestF10WordsJoinedByADotKeepEveryWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Jan.de Vries":        "Jan. de Vries",
		"Jane at Booking.com": "Jane at Booking. com",
		"Acme Ltd.Co":         "Acme Ltd. Co",
		"so that your monday.com boards appear in Acme": "so that your monday. com boards appear in Acme",
		"Please do it today.It only takes a minute":     "Please do it today. It only takes a minute",
		"Is it monday.com?":                             "Is it monday. com?",
		"About Booking.com: two of us":                  "About Booking. com: two of us",
		"Asana/monday.com and H&M.com":                  "Asana/monday. com and H&M. com",
		"monday.com, Make.com (and Cal.com)":            "monday. com, Make. com (and Cal. com)",
		"J.R. Smith":                                    "J.R. Smith", "Mr.Li": "Mr. Li", "St.John": "St. John", "e.g. 3.50": "e.g. 3.50",
		"Node.js v2.0.1": "Node. js v2.0.1", "version 1.2.3.4": "version 1. 2. 3. 4", "see monday.com/": "see monday. com/",
		// Links, addresses, hosts with a path, port or query.
		"see monday.com/boards now": "see now", "evil.io:8080": "", "evil.com?x=1": "", "evil.com#x": "", `evil.com\x`: "", "Jane@Booking.com": "",
		"https://Booking.com": "", "www.Booking.com": "", "//Booking.com": "", "192.0.2.7/x": "", "192.0.2.7:80": "",
	} {
		if got := contact.Clean(in, 200); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestF11JoinersStayWhereTheySpell: in scripts that use them, by RFC 5892's rule,
// and in joined emoji. Elsewhere they are dropped.
func TestF11JoinersStayWhereTheySpell(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"علی\u200cرضا محمدی", "می\u200cخواهم این را وصل کنم", "ශ්\u200dරී ලංකා", "क्\u200dष", "क्\u200cष", "র\u200d্যাব", "അവന്\u200d വന്നു",
		"👩\u200d👩\u200d👧", "❤\ufe0f\u200d🔥", "👩🏽\u200d💻", "🏳\ufe0f\u200d🌈", "🧑\u200d⚕\ufe0f",
	} {
		if got := contact.Clean(in, 200); got != in {
			t.Errorf("Clean(%+q) = %+q", in, got)
		}
	}
	for in, want := range map[string]string{
		"Pa\u200ct Le\u200de": "Pat Lee", "\u200c\u200dPat\u200c": "Pat", "ی\u200c": "ی", "\u200cی": "ی", "ی \u200c ر": "ی ر", "می\u200c\u200cخواهم": "می\u200cخواهم",
		"山\u200d田": "山田", "👩\u200d": "👩", "\u200d👩": "👩", "x\u200d👩": "x👩", "👩\u200dx": "👩x", "evil.c\u200com": "evil. com", "☎\ufe0f": "☎",
	} {
		if got := contact.Clean(in, 200); got != want {
			t.Errorf("Clean(%+q) = %+q, want %+q", in, got, want)
		}
	}
	if got := contact.Clean("می\u200cخواهم", 3); got != "می…" {
		t.Errorf("cut off before a joiner: %+q", got)
	}
	if got, want := contact.NameWords("علی\u200cرضا"), contact.NameWords("علیرضا"); len(got) != 1 || got[0] != want[0] {
		t.Errorf("searched as %+q, want %+q", got, want)
	}
}

func TestCleanShortens(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in    string
		limit int
		want  string
	}{
		{"Sam Rivera", 10, "Sam Rivera"},
		{"Sam Rivera", 9, "Sam Rive…"},
		{"Sam Rivera", 5, "Sam…"},
		{"Sam Rivera", 1, "…"},
		{"Sam Rivera", 0, ""},
		{"Sam Rivera", -1, ""},
		{"ÄÖÜÄÖÜ", 4, "ÄÖÜ…"},
		{strings.Repeat("a", 1<<20), 3, "aa…"},
	} {
		if got := contact.Clean(tc.in, tc.limit); got != tc.want {
			t.Errorf("Clean(%.20q, %d) = %q, want %q", tc.in, tc.limit, got, tc.want)
		}
	}
}

// linkable is written apart from the code under test: what common linkers
// (mail clients, phones) turn into links.
var linkable = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://|\bwww\.[\p{L}\p{N}]|\bhxxps?:|\b(?:mailto|tel|sms|javascript|data):[\p{L}\p{N}+/]|[\p{L}\p{N}]\.[\p{L}]{2,}|\b\d{1,3}(?:\.\d{1,3}){3}\b`)

// checkClean asserts the properties of every result of Clean.
func checkClean(t interface {
	Fatalf(string, ...any)
	Helper()
}, in string, limit int) {
	t.Helper()
	got := contact.Clean(in, limit)
	if !utf8.ValidString(got) || utf8.RuneCountInString(got) > max(limit, 0) {
		t.Fatalf("Clean(%q, %d) = %q: invalid or too long", in, limit, got)
	}
	if found := linkable.FindString(got); found != "" {
		t.Fatalf("Clean(%q, %d) = %q: %q is a link", in, limit, got, found)
	}
	if found := linkable.FindString(norm.NFKC.String(got)); found != "" {
		t.Fatalf("Clean(%q, %d) = %q: %q is a link in disguise", in, limit, got, found)
	}
	for _, r := range got {
		if r == '\u200c' || r == '\u200d' || r == '\ufe0f' {
			continue // TestF11 covers where these stay
		}
		if r != ' ' && unicode.IsSpace(r) || unicode.Is(unicode.C, r) || unicode.Is(unicode.Bidi_Control, r) {
			t.Fatalf("Clean(%q, %d) = %q: holds %U", in, limit, got, r)
		}
	}
	if strings.TrimSpace(got) != got || strings.Contains(got, "  ") {
		t.Fatalf("Clean(%q, %d) = %q: loose white space", in, limit, got)
	}
	if again := contact.Clean(got, limit); again != got {
		t.Fatalf("Clean(%q, %d) = %q, cleaned again %q", in, limit, got, again)
	}
}

func TestCleanHoldsForNaughtyStrings(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/blns.json")
	if err != nil {
		t.Fatal(err)
	}
	var naughty []string
	if err := json.Unmarshal(raw, &naughty); err != nil || len(naughty) < 500 {
		t.Fatalf("%d strings, %v", len(naughty), err)
	}
	for _, s := range naughty {
		for _, limit := range []int{0, 1, 7, 140, 10000} {
			checkClean(t, s, limit)
		}
		checkClean(t, s+"."+s, 140)
	}
}

func TestCleanHoldsForAnything(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{
		"evil", ".", "com", "co", "uk", "http", "hxxp", ":", "/", "//", "www.", "@", " ", "\n", "\u200b", "\u202e", "。", "．", "e", "a.m.",
		"é", "\u0301", "…", "(", ")", "mailto:", "javascript:", "1", "192.0.2.1", "xn--", "-", "_", "\ufb2c", "ﬁ", "㏂", "℡", "Dr", "No", "x", "\xff", "١", "ß", "İ",
	})
	rapid.Check(t, func(rt *rapid.T) {
		in := strings.Join(rapid.SliceOfN(pieces, 0, 14).Draw(rt, "pieces"), "")
		if rapid.Bool().Draw(rt, "mixed") {
			in += rapid.String().Draw(rt, "any")
		}
		checkClean(rt, in, rapid.IntRange(0, 40).Draw(rt, "limit"))
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"Sam", "evil.com", "h\u200bttp://x", "Z\u0336\u0336\u0336\u0336", "a\xffb", "ﬁ.com", "x.㏂"} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		checkClean(t, s, limit%500)
	})
}

func BenchmarkCleanOfHostileText(b *testing.B) {
	for name, piece := range map[string]string{"dots": "a.", "links": "evil.com ", "widening": "\ufdfa", "colons": "data:", "marks": "a\u0301.", "words": "www"} {
		text := strings.Repeat(piece, 20_000)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				contact.Clean(text, 140)
			}
		})
	}
}

func BenchmarkClean(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		contact.Clean("so that we can post your daily report to the channel you chose", 140)
	}
}
