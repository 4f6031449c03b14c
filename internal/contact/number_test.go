package contact_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/connectlink/connectlink/internal/contact"
)

// TestSecurityF7TelephoneNumbersAreTakenOutOfPublicText: an invitation that tells
// people to ring a number uses our sender's good name.
func TestSecurityF7TelephoneNumbersAreTakenOutOfPublicText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Acme Fraud Desk +1 888 555 0100":   "Acme Fraud Desk",
		"Call +1 888 555 0100 now or reply": "Call now or reply",
		"Ring (888) 555-0100.":              "Ring .",
		"888.555.0100":                      "",
		"8885550100":                        "",
		"5550100":                           "",
		"555-0100":                          "",
		"+44 (0)20 7946 0958":               "",
		"0049 151 23456789 please":          "please",
		"8 8 8 5 5 5 0 1 0 0":               "",
		"888–555–0100 or 888/555/0100":      "or",
		"٠١٢٣٤٥٦٧٨٩":                        "",
		"８８８ ５５５ ０１００":                      "",
		"①②③④⑤⑥⑦":                           "",
		"𝟖𝟖𝟖 𝟓𝟓𝟓 𝟎𝟏𝟎𝟎":                      "",
		"888,555,0100":                      "",
		"888 - 555 - 0100":                  "",
		"8\u200d885550100":                  "",
		"Sam 888 evil.com/x 5550100":        "Sam",
		// These are no numbers to ring.
		"by 2026-11-28 or 28.11.2026, 11/28/2026":      "by 2026-11-28 or 28.11.2026, 11/28/2026",
		"for 2025-2026 and 2027–2028":                  "for 2025-2026 and 2027–2028",
		"budget of 1,000,000 or 1.000.000,50, or 3.50": "budget of 1,000,000 or 1.000.000,50, or 3.50",
		"rooms 101, 102, 103 at 14:30:00 in 2026":      "rooms 101, 102, 103 at 14:30:00 in 2026",
		"ticket 471123 and order 99":                   "ticket 471123 and order 99",
		"Sam Rivera 3rd, Area 51":                      "Sam Rivera 3rd, Area 51",
		"v2.0.1 of 3 apps":                             "v2.0.1 of 3 apps",
	} {
		if got := contact.CleanPublic(in, 200); got != want {
			t.Errorf("CleanPublic(%q) = %q, want %q", in, got, want)
		}
	}
	if got := contact.Clean("Call +1 888 555 0100", 200); got != "Call +1 888 555 0100" {
		t.Errorf("what staff write for themselves keeps numbers: %q", got)
	}
	if got := contact.CleanPublic(strings.Repeat("ab ", 100)+"8885550100", 5); got != "ab a…" {
		t.Errorf("cut: %q", got)
	}
}

func TestCleanPublicTwiceIsOnce(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{"8", "55", "123", " ", "-", ".", ",", "(", ")", "+", "٣", "①", "evil.com", "/x", "2026-11-28", "a", "\u200d", "1,000", "'", ":"})
	rapid.Check(t, func(rt *rapid.T) {
		in := strings.Join(rapid.SliceOfN(pieces, 0, 16).Draw(rt, "pieces"), "")
		limit := rapid.IntRange(0, 40).Draw(rt, "limit")
		got := contact.CleanPublic(in, limit)
		if again := contact.CleanPublic(got, limit); again != got || utf8.RuneCountInString(got) > limit {
			rt.Fatalf("CleanPublic(%q, %d) = %q, again %q", in, limit, got, again)
		}
	})
}
