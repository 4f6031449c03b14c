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
	mails := mailNames()
	slices.Sort(mails)
	if got := named("([a-z]+)@"); !slices.Equal(got, mails) {
		t.Errorf("deliveries of mails: the page has %q, the sandbox %q", got, mails)
	}

	words := slices.Sorted(slices.Values(journeyWords()))
	if got := named(`\+([a-z]+)`); !slices.Equal(got, words) {
		t.Errorf("words: the page has %q, the sandbox %q", got, words)
	}
	for _, w := range words {
		if !knownJourney(w) && w != "expire" && w != "slow" {
			t.Errorf("the word +%s does nothing", w)
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
	if numbers := slices.Sorted(slices.Values(textNumbers())); !slices.Equal(numbers, scripted) {
		t.Errorf("numbers: the list has %q, the scripts %q", numbers, scripted)
	}
	if got := named(`(\+1\d{10})`); !slices.Equal(got, scripted) {
		t.Errorf("numbers: the page has\n%s, the sandbox\n%s", strings.Join(got, " "), strings.Join(scripted, " "))
	}
}

func isRefused(number string) bool {
	_, refused := smsRefusal(number)
	return refused
}
