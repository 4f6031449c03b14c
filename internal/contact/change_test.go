package contact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestChangesNameEachPieceAndItsCause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sent string
		want []contact.Change
	}{
		{"so that  we can plan your day", nil},
		{"Jan.de Vries", []contact.Change{{"Jan.de", "Jan. de", contact.CauseJoined}}},
		{"Call +1 888 555 0100 today", []contact.Change{{"+1 888 555 0100", "", contact.CausePhone}}},
		{"see https://evil.example/login now", []contact.Change{{"https://evil.example/login", "", contact.CauseLink}}},
		{"write to pat@customer.com, please", []contact.Change{{"pat@customer.com,", ",", contact.CauseEmail}}},
		{"see https://evil.example or mail x@evil.com or +1 888 555 0100", []contact.Change{
			{"https://evil.example", "", contact.CauseLink}, {"x@evil.com", "", contact.CauseEmail}, {"+1 888 555 0100", "", contact.CausePhone},
		}},
		{"www.evil.com x@evil.com 555 888 0100", []contact.Change{
			{"www.evil.com", "", contact.CauseLink}, {"x@evil.com", "", contact.CauseEmail}, {"555 888 0100", "", contact.CausePhone},
		}},
		{"zero\u200bwidth", []contact.Change{{"zero\u200bwidth", "zerowidth", contact.CauseInvisible}}},
		{"a \u2800 b", []contact.Change{{"\u2800", "", contact.CauseInvisible}}},
		{"Jan.de +1 call:+18885550100 +1", []contact.Change{
			{"Jan.de +1 call:+18885550100 +1", "Jan. de +1 call:", contact.CausePhone},
		}},
		{"see Jan.de de", []contact.Change{{"Jan.de de", "Jan. de de", contact.CauseJoined}}},
		{"call:+18885550100", []contact.Change{{"call:+18885550100", "call:", contact.CausePhone}}},
	} {
		shown := contact.CleanPublic(c.sent, 200)
		if diff := cmp.Diff(c.want, contact.Compare(c.sent, shown)); diff != "" {
			t.Errorf("%q, shown %q (-want +got):\n%s", c.sent, shown, diff)
		}
	}
}

// TestChangesLeaveOutNoWord of the text that was sent: a word outside the changes is shown.
func TestChangesLeaveOutNoWord(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{
		"see", "Jan.de", "monday.com", "https://evil.example/x", "x@evil.com", "+1", "888", "555", "0100", "(", ")", "2026-11-30",
		"www.evil.com", "1,000,000", "z\u200bw", "\u2800", "…", "é", "ﬁ.com", "call:+18885550100", "you", "today.It",
	})
	rapid.Check(t, func(t *rapid.T) {
		sent := strings.Join(rapid.SliceOfN(word, 0, 12).Draw(t, "words"), " ")
		shown := contact.CleanPublic(sent, 200)
		changes := contact.Compare(sent, shown)
		for _, c := range changes {
			if c.Text == "" || !slices.Contains(contact.Causes(), c.Cause) {
				t.Fatalf("%q: an empty change or an unknown cause: %+v", sent, c)
			}
		}
		if changes != nil && !leadTo(strings.Fields(sent), changes, strings.Fields(shown)) {
			t.Fatalf("%q: the changes do not make what recipients read, %q: %+v", sent, shown, changes)
		}
		if (changes == nil) != (strings.Join(strings.Fields(sent), " ") == shown) {
			t.Fatalf("%q is shown as %q: %+v", sent, shown, changes)
		}
	})
}

// leadTo reports whether the changes, in order and somewhere in the text, make the shown
// words of the sent ones. A word that is there twice leaves open which of them changed.
func leadTo(sent []string, changes []contact.Change, shown []string) bool {
	if len(changes) == 0 {
		return slices.Equal(sent, shown)
	}
	words, becomes := strings.Fields(changes[0].Text), strings.Fields(changes[0].Shown)
	for at := 0; at+len(words) <= len(sent) && at <= len(shown) && slices.Equal(sent[:at], shown[:at]); at++ {
		if slices.Equal(sent[at:at+len(words)], words) && at+len(becomes) <= len(shown) && slices.Equal(shown[at:at+len(becomes)], becomes) &&
			leadTo(sent[at+len(words):], changes[1:], shown[at+len(becomes):]) {
			return true
		}
	}
	return false
}

// FuzzCompare compares any text with its cleaned form.
func FuzzCompare(f *testing.F) {
	f.Add("see https://evil.com or x@evil.com or +1 888 555 0100")
	f.Add("Jan.de \u2800 z\u200bw ﬁ.com")
	f.Fuzz(func(t *testing.T, sent string) {
		shown := contact.CleanPublic(sent, 200)
		for _, c := range contact.Compare(sent, shown) {
			if c.Text == "" || c.Text == c.Shown || !slices.Contains(contact.Causes(), c.Cause) {
				t.Errorf("%q is shown as %q: %+v", sent, shown, c)
			}
		}
	})
}
