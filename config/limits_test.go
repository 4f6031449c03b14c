package config_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/config"
)

// defaultLimits apply to a project that sets none.
func defaultLimits() config.Limits {
	return config.Limits{
		RecipientPerHour: 5, RecipientPerDay: 10, UserPerDay: 20, ResendsPerInvite: 10, KeyPerDay: 20_000, ProjectPerDay: 50_000,
		CountryPerDay: 2000, BlockPerDay: 50, SpendPerDay: 100 * config.OneMoney, EmailPrice: 1000,
	}
}

func TestLimitsAreReadFromVariablesAndFile(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, with("CONNECTLINK_LIMIT_RECIPIENT_PER_DAY", "Unlimited", "CONNECTLINK_LIMIT_SPEND_PER_DAY", "12.50",
		"CONNECTLINK_LIMIT_SMS_COUNTRIES", "us, de", "CONNECTLINK_LIMIT_SMS_PRICES", "DE=0.075, gb=0.04"), nil)
	p := c.Projects[0]
	if l := p.Limits; l.RecipientPerDay != config.Unlimited || l.SpendPerDay != 12_500_000 || l.SMSPrice("DE") != 75_000 || l.SMSPrice("GB") != 40_000 {
		t.Errorf("limits = %+v", p.Limits)
	}
	if !p.AllowsCountry("DE") || !p.AllowsCountry("US") || p.AllowsCountry("GB") || p.AllowsCountry("001") {
		t.Errorf("sms_countries = %q", p.Limits.SMSCountries)
	}
	file := "projects:\n  - id: acme\n    brand: {region: FR}\n    limits:\n      resends_per_invite: 3\n      spend_per_day: unlimited\n      sms_prices: [FR=0.05]\n"
	p = mustLoad(t, minimal(), map[string]string{yamlFile: file}).Projects[0]
	if l := p.Limits; l.ResendsPerInvite != 3 || l.SpendPerDay != config.Unlimited || l.SMSPrice("FR") != 50_000 {
		t.Errorf("limits = %+v", p.Limits)
	}
	if !p.AllowsCountry("FR") || p.AllowsCountry("US") {
		t.Error("without sms_countries the brand's region alone is allowed")
	}
}

func TestCountryIsNotAllowedWithoutRegionAndList(t *testing.T) {
	t.Parallel()
	if p := mustLoad(t, minimal(), nil).Projects[0]; p.AllowsCountry("US") || p.AllowsCountry("") {
		t.Error("a project that names no country allows one")
	}
	if p := mustLoad(t, with("CONNECTLINK_LIMIT_SMS_COUNTRIES", "all"), nil).Projects[0]; !p.AllowsCountry("US") || !p.AllowsCountry("001") {
		t.Error("all does not allow every country")
	}
}

// An unknown country must not be free of charge.
func TestUnlistedCountryCostsAsMuchAsTheDearest(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("sms_prices.csv")
	if err != nil {
		t.Fatal(err)
	}
	var highest config.Money
	for _, m := range regexp.MustCompile(`(?m)^([^#,\n]+),`).FindAllStringSubmatch(string(table), -1) {
		price, ok := config.BuiltInPrice(m[1])
		if !ok || price <= 0 {
			t.Errorf("%s: price %v, %v", m[1], price, ok)
		}
		highest = max(highest, price)
	}
	if got := (config.Limits{}).SMSPrice("XK"); got != highest || highest == 0 {
		t.Errorf("price of an unlisted country = %v, want %v", got, highest)
	}
	if got := (config.Limits{}).SMSPrice("US"); got != 13_000 {
		t.Errorf("price of US = %v", got)
	}
}

func TestBadLimitsAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	got := faultsOf(t, with(
		"CONNECTLINK_LIMIT_RECIPIENT_PER_HOUR", "0", "CONNECTLINK_LIMIT_USER_PER_DAY", "-1", "CONNECTLINK_LIMIT_SPEND_PER_DAY", "0",
		"CONNECTLINK_LIMIT_SMS_COUNTRIES", "US, Atlantis", "CONNECTLINK_LIMIT_SMS_PRICES", "US=cheap", "CONNECTLINK_LIMIT_EMAIL_PRICE", "-1",
		"CONNECTLINK_LIMIT_RESENDS_PER_INVITE", "many"), nil)
	zero := `want more than 0; to stop sending use the console or pause the channel, and for no limit write "unlimited"`
	number := `want a whole number from 1 to 100000000, or "unlimited"`
	want := map[string]string{
		"CONNECTLINK_LIMIT_RECIPIENT_PER_HOUR": zero,
		"CONNECTLINK_LIMIT_USER_PER_DAY":       number,
		"CONNECTLINK_LIMIT_RESENDS_PER_INVITE": number,
		"CONNECTLINK_LIMIT_SPEND_PER_DAY":      zero,
		"CONNECTLINK_LIMIT_SMS_COUNTRIES":      "entry 2: want a country's two-letter code, as US or DE, or all",
		"CONNECTLINK_LIMIT_SMS_PRICES":         "entry 1: want an amount from 0 to 1000000 with at most six decimals, as 0.0083",
		"CONNECTLINK_LIMIT_EMAIL_PRICE":        "want an amount from 0 to 1000000 with at most six decimals, as 0.0083",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Who sets one limit must not have to repeat all others.
func TestDefaultAboveASmallerLimitIsNoContradiction(t *testing.T) {
	t.Parallel()
	p := mustLoad(t, with("CONNECTLINK_LIMIT_PROJECT_PER_DAY", "10", "CONNECTLINK_LIMIT_RECIPIENT_PER_DAY", "2"), nil).Projects[0]
	if p.Limits.ProjectPerDay != 10 || p.Limits.RecipientPerDay != 2 {
		t.Errorf("limits = %+v", p.Limits)
	}
}

func TestContradictingLimitsAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	got := faultsOf(t, with(
		"CONNECTLINK_LIMIT_RECIPIENT_PER_HOUR", "20", "CONNECTLINK_LIMIT_KEY_PER_DAY", "900", "CONNECTLINK_LIMIT_PROJECT_PER_DAY", "800",
		"CONNECTLINK_LIMIT_SMS_BLOCK_PER_DAY", "3000", "CONNECTLINK_LIMIT_SMS_COUNTRIES", "all, US", "CONNECTLINK_LIMIT_USER_PER_DAY", "2000",
	), nil)
	want := map[string]string{
		"CONNECTLINK_LIMIT_RECIPIENT_PER_HOUR": "is 20, more than CONNECTLINK_LIMIT_RECIPIENT_PER_DAY, which is 10: an hour is a part of the day",
		"CONNECTLINK_LIMIT_KEY_PER_DAY":        "is 900, more than CONNECTLINK_LIMIT_PROJECT_PER_DAY, which is 800: a key is a part of the project",
		"CONNECTLINK_LIMIT_SMS_BLOCK_PER_DAY":  "is 3000, more than CONNECTLINK_LIMIT_SMS_COUNTRY_PER_DAY, which is 2000: a block of numbers is a part of its country",
		"CONNECTLINK_LIMIT_SMS_COUNTRIES":      "names all and single countries; write one or the other",
		"CONNECTLINK_LIMIT_USER_PER_DAY":       `want at most 1000, or "unlimited"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
