package contact_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestParsePhone(t *testing.T) {
	t.Parallel()
	us := contact.Phone{E164: "+12025550123", Region: "US", Type: "fixed_line_or_mobile"}
	de := contact.Phone{E164: "+4915123456789", Region: "DE", Type: "mobile"}
	for name, tc := range map[string]struct {
		in, region string
		want       contact.Phone
		kind       contact.Kind
	}{
		"international":               {in: "+12025550123", want: us},
		"as people write it":          {in: "+1 (202) 555-0123", want: us},
		"national with a region":      {in: "0151 23456789", region: "DE", want: de},
		"region in lower case":        {in: "0151/234-567-89", region: "de", want: de},
		"international wins":          {in: "+49 151 23456789", region: "US", want: de},
		"00 dialled from a region":    {in: "0049 151 23456789", region: "FR", want: de},
		"direction marks around it":   {in: "\u202d+49 151 23456789\u202c", want: de},
		"no-break spaces":             {in: "+49\u00a0151\u202f23456789", want: de},
		"full-width plus and digits":  {in: "＋４９１５１２３４５６７８９", want: de},
		"Arabic digits":               {in: "+٤٩١٥١٢٣٤٥٦٧٨٩", want: de},
		"spaces around":               {in: "  +4915123456789 ", want: de},
		"nothing":                     {in: "", kind: contact.Required},
		"only marks":                  {in: "\u202d\u202c ", kind: contact.Required},
		"national without a region":   {in: "0151 23456789", kind: contact.Invalid},
		"a region that is none":       {in: "0151 23456789", region: "XX", kind: contact.Invalid},
		"letter O for zero":           {in: "+1202555O123", kind: contact.Invalid},
		"a vanity number":             {in: "+1 800 FLOWERS", kind: contact.Invalid},
		"an extension":                {in: "+12025550123 ext. 5", kind: contact.Invalid},
		"an extension by x":           {in: "+12025550123x5", kind: contact.Invalid},
		"too short":                   {in: "+1202555", kind: contact.Invalid},
		"a digit too many":            {in: "+120255501234", kind: contact.Invalid},
		"no such country code":        {in: "+2991", kind: contact.Invalid},
		"a country code that is none": {in: "+999123456789", kind: contact.Invalid},
		"two numbers":                 {in: "+12025550123, +12025550124", kind: contact.Invalid},
		"no number":                   {in: "call me", kind: contact.Invalid},
		"a NUL":                       {in: "+1202555\x000123", kind: contact.Invalid},
		"invalid UTF-8":               {in: "+1202555\xff0123", kind: contact.Invalid},
		"digits without end":          {in: "+" + strings.Repeat("1", 65), kind: contact.TooLong},
		"a novel":                     {in: strings.Repeat("+1 ", 4000), kind: contact.TooLong},
		"a personal number":           {in: "+15005550006", want: contact.Phone{E164: "+15005550006", Region: "US", Type: "personal_number"}},
		"a German landline":           {in: "+49 30 123456", kind: contact.TypeUnsupported},
		"premium rate":                {in: "+1 900 234 5678", kind: contact.TypeUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := contact.ParsePhone(tc.in, tc.region)
			if diff := cmp.Diff(tc.want, got); diff != "" || contact.KindOf(err) != tc.kind {
				t.Fatalf("ParsePhone(%q, %q): %v (%s) %s", tc.in, tc.region, err, contact.KindOf(err), diff)
			}
			if err != nil && strings.ContainsAny(strings.NewReplacer("15 digits", "", "+12025550123", "", "UTF-8", "").Replace(err.Error()), "0123456789") {
				t.Errorf("the fault repeats digits: %v", err)
			}
		})
	}
}

// TestF18NumbersAsAddressBooksHoldThem: earlier forms of Mexico and Brazil, and
// Argentina's without the 9.
func TestF18NumbersAsAddressBooksHoldThem(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+5215512345678": "+525512345678", "+52 1 81 1234 5678": "+528112345678", "+52 55 1234 5678": "+525512345678", "0052 1 55 1234 5678": "+525512345678",
		"+54 11 2345-6789": "+541123456789", "+54 221 4123456": "+542214123456", "+54 9 11 2345-6789": "+5491123456789", "+54 11 15 2345-6789": "+5491123456789",
		"+55 011 91234-5678": "+5511912345678", "+55 11 91234-5678": "+5511912345678", "+55 (11) 8765-4321": "+5511987654321", "+55 21 9876 5432": "+5521998765432",
		"+49 (0)151 23456789": "+4915123456789", "0049 151 23456789": "+4915123456789", "0049-151-23456789": "+4915123456789", "00 49 151 23456789": "+4915123456789",
		"00 1 202 555 0123": "+12025550123", "+7 8 912 345-67-89": "+79123456789", "+39 347 123 4567": "+393471234567", "+225 07 12 34 56 78": "+2250712345678",
	} {
		for _, region := range []string{"", "DE", "US"} {
			got, err := contact.ParsePhone(in, region)
			if err != nil || got.E164 != want {
				t.Errorf("%s in region %q: %q, %v; want %s", in, region, got.E164, err, want)
			}
			found, ok := contact.SearchPhone(in, region)
			if !ok || found != want {
				t.Errorf("%s in region %q is searched as %q, want %s", in, region, found, want)
			}
		}
	}
	for _, in := range []string{"+39 06 1234567", "+52 1 55 1234 567", "0049", "00 000 000 000", "+55 11 3456-789", "+55 11 3456-7890"} {
		if got, err := contact.ParsePhone(in, ""); err == nil {
			t.Errorf("%s is taken for %s", in, got.E164)
		}
	}
	if got, err := contact.ParsePhone("+54 11 2345-6789", ""); err != nil || got.Type != "fixed_line_or_mobile" {
		t.Errorf("an Argentine number without the 9: %+v, %v", got, err)
	}
	for in, want := range map[string]string{"+525512345678": "+5215512345678", "+5215512345678": "+525512345678", "+541123456789": "+5491123456789", "+5491123456789": "+541123456789", "+12025550123": ""} {
		forms := contact.PhoneForms(in)
		if forms[0] != in || want == "" && len(forms) != 1 || want != "" && (len(forms) != 2 || forms[1] != want) {
			t.Errorf("%s is also %v, want %q", in, forms, want)
		}
	}
}

func TestScriptedNumbersAreAcceptedInTestModeOnly(t *testing.T) {
	t.Parallel()
	for _, n := range []string{
		"+15005550001", "+15005550002", "+15005550003", "+15005550004", "+15005550006", "+15005550009",
		"+12025550100", "+12025550103", "+12025550111", "+12025550199", "+19995550100",
	} {
		got, err := contact.ParsePhoneTest(n, "")
		if want := (contact.Phone{E164: n, Region: "US", Type: contact.TypeScripted}); err != nil || got != want {
			t.Errorf("%s: %+v, %v", n, got, err)
		}
	}
	// In any spelling.
	if got, err := contact.ParsePhoneTest("(500) 555-0009", "US"); err != nil || got.E164 != "+15005550009" {
		t.Errorf("spelled nationally: %+v, %v", got, err)
	}
	for n, kind := range map[string]contact.Kind{
		"+19002345678":  contact.TypeUnsupported, // the rules hold for everything else
		"+4930123456":   contact.TypeUnsupported,
		"+1202555":      contact.Invalid,
		"+445005550001": contact.Invalid,
		"":              contact.Required,
	} {
		if got, err := contact.ParsePhoneTest(n, ""); contact.KindOf(err) != kind {
			t.Errorf("%q: %+v, %v; want %s", n, got, err, kind)
		}
	}
	if got, err := contact.ParsePhoneTest("+4915123456789", ""); err != nil || got.Type != "mobile" {
		t.Errorf("an ordinary number in test mode: %+v, %v", got, err)
	}
	// A number without any valid form outside test mode.
	if _, err := contact.ParsePhone("+19995550100", ""); contact.KindOf(err) != contact.Invalid {
		t.Errorf("a fictional number of no area in live mode: %v", err)
	}
	if got, err := contact.ParsePhoneTest("+15005560001", ""); err != nil || got.Type == contact.TypeScripted {
		t.Errorf("a number beside the magic ones: %+v, %v", got, err)
	}
}

func TestEveryExampleNumberByItsType(t *testing.T) {
	t.Parallel()
	refused := map[string]bool{"fixed_line": true, "premium_rate": true, "shared_cost": true, "pager": true, "uan": true, "voicemail": true}
	f, err := os.Open("testdata/example_numbers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	ran, fixedAccepted := 0, 0
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		if len(cells) < 4 || strings.HasPrefix(cells[0], "#") {
			continue
		}
		region, kind, number := cells[0], cells[1], cells[3]
		got, err := contact.ParsePhone(number, "")
		ran++
		switch {
		case refused[kind] && err == nil && (got.Type == "fixed_line_or_mobile" || got.Type == "mobile") && kind == "fixed_line":
			// Where fixed and mobile share their ranges, the type is unknown.
			fixedAccepted++
		case refused[kind]:
			if contact.KindOf(err) != contact.TypeUnsupported {
				t.Errorf("%s %s %s: %+v, %v; want %s", region, kind, number, got, err, contact.TypeUnsupported)
			}
		case err != nil:
			t.Errorf("%s %s %s: %v", region, kind, number, err)
		case got.E164 != number:
			t.Errorf("%s %s %s became %s", region, kind, number, got.E164)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if ran != 1132 {
		t.Fatalf("%d numbers read, want 1132", ran)
	}
	// The North American plan and a handful of others; were it all of the
	// 245, no landline would be refused.
	if fixedAccepted < 5 || fixedAccepted > 60 {
		t.Errorf("%d fixed-line examples accepted", fixedAccepted)
	}
}

func TestLast4(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"+12025550123": "0123", "+1": "1", "": "", "+49 151 2345 67 89": "6789"} {
		if got := contact.Last4(in); got != want {
			t.Errorf("Last4(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestKnownRegion(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]bool{"US": true, "DE": true, "XX": false, "": false, "ZZ": false} {
		if contact.KnownRegion(region) != want {
			t.Errorf("KnownRegion(%q) = %v", region, !want)
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	for _, s := range []string{"+12025550123", "0151 23456789", "+1 900 234 5678", "＋４９", "+15005550001", "\u202d+1"} {
		f.Add(s, "US")
	}
	f.Add("0151 23456789", "DE")
	f.Fuzz(func(t *testing.T, s, region string) {
		got, err := contact.ParsePhoneTest(s, region)
		if err != nil {
			if got != (contact.Phone{}) || contact.KindOf(err) == "" {
				t.Fatalf("ParsePhoneTest(%q) = %+v, %v", s, got, err)
			}
			return
		}
		if again, err := contact.ParsePhoneTest(got.E164, ""); err != nil || again != got {
			t.Fatalf("%q gives %+v, which gives %+v, %v", s, got, again, err)
		}
		if len(got.E164) < 5 || len(got.E164) > 16 || strings.Trim(got.E164[1:], "0123456789") != "" {
			t.Fatalf("%q gives %q", s, got.E164)
		}
	})
}
