package sandbox

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheListOfTestRecipientsIsTheSandboxs: the page names each scripted recipient,
// and none that is not one. An address that only looks like one is delivered, so a
// guess would look like a passed test.
func TestTheListOfTestRecipientsIsTheSandboxs(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/test-recipients.md")
	if err != nil {
		t.Fatal(err)
	}
	named := func(pattern string) []string {
		var out []string
		for _, m := range regexp.MustCompile("(?m)^\\| `"+pattern+"` \\|").FindAllStringSubmatch(string(raw), -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return out
	}
	mails := []string{string(MintFails), string(MintSlow)}
	for _, f := range mailOutcomes() {
		mails = append(mails, f.name)
	}
	slices.Sort(mails)
	if got := named("([a-z]+)@"); !slices.Equal(got, mails) {
		t.Errorf("deliveries of mails: the page has %q, the sandbox %q", got, mails)
	}

	words := []string{"expire", "slow"}
	for _, w := range named(`\+([a-z]+)`) {
		if !knownJourney(w) && !slices.Contains(words, w) {
			t.Errorf("the page has the word +%s, which does nothing", w)
		}
	}
	for _, w := range append([]string{"visit", "connect", "deny", "connecterror", "scanner", "notme", "renew"}, words...) {
		if !slices.Contains(named(`\+([a-z]+)`), w) {
			t.Errorf("the page lacks the word +%s", w)
		}
	}

	scripted := []string{"+12025550100"} // what any other number does, too
	for n := range 100 {
		number := "+120255501" + string(rune('0'+n/10)) + string(rune('0'+n%10))
		if smsFateName(number) != "delivered" {
			scripted = append(scripted, number)
		}
	}
	for n := range 10 {
		if number := "+1500555000" + string(rune('0'+n)); isRefused(number) {
			scripted = append(scripted, number)
		}
	}
	slices.Sort(scripted)
	if got := named(`(\+1\d{10})`); !slices.Equal(got, scripted) {
		t.Errorf("numbers: the page has\n%s, the sandbox\n%s", strings.Join(got, " "), strings.Join(scripted, " "))
	}
}

func isRefused(number string) bool {
	_, refused := smsRefusal(number)
	return refused
}
