package config

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Unlimited is a limit that refuses nothing. In the configuration it is the word
// "unlimited": a 0 there is refused, because readers disagree about its meaning.
const Unlimited = 0

// unlimited is how Unlimited is written.
const unlimited = "unlimited"

// EveryCountry in Limits.SMSCountries allows text messages to all countries.
const EveryCountry = "all"

// Limits bound what live keys and staff can send for one project, so that a
// leaked key is worth little. Each is a number of messages unless it says
// otherwise; Unlimited refuses nothing.
type Limits struct {
	RecipientPerHour int // to one address or number, in any 60 minutes
	RecipientPerDay  int // to one address or number, in any 24 hours
	UserPerDay       int // for one external user, in any 24 hours
	ResendsPerInvite int
	KeyPerDay        int // by one API key or member of staff, per day in UTC
	ProjectPerDay    int // per day in UTC
	CountryPerDay    int // text messages to one country, per day in UTC
	BlockPerDay      int // text messages to one block of 10,000 numbers, per day in UTC
	SpendPerDay      Money
	SMSCountries     []string         // ISO 3166 codes, or EveryCountry; empty: Brand.Region
	SMSPrices        map[string]Money // per part of a text message, over the built-in prices
	EmailPrice       Money            // per email
}

// Money is an amount in millionths of the price table's currency; the built-in
// table is in US dollars.
type Money int64

// OneMoney is one unit of the currency.
const OneMoney Money = 1_000_000

// String is the amount with up to six decimals, "0.0083".
func (m Money) String() string {
	s := fmt.Sprintf("%d.%06d", m/OneMoney, m%OneMoney)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// AllowsCountry reports whether the project sends text messages to a country, by
// its ISO 3166 code. Numbers of no country ("001") need EveryCountry.
func (p Project) AllowsCountry(code string) bool {
	if len(p.Limits.SMSCountries) == 0 {
		return p.Brand.Region != "" && code == p.Brand.Region
	}
	return slices.Contains(p.Limits.SMSCountries, EveryCountry) || slices.Contains(p.Limits.SMSCountries, code)
}

// SMSPrice is the price of one part of a text message to a country: the
// project's own, else the built-in one, else the highest built-in one.
func (l Limits) SMSPrice(country string) Money {
	if m, ok := l.SMSPrices[country]; ok {
		return m
	}
	if m, ok := BuiltInPrice(country); ok {
		return m
	}
	return dearestPrice
}

// smsPrices holds a country's code and the price of one part of a text message to
// it, one per line.
//
//go:embed sms_prices.csv
var smsPrices string

// dearestPrice is the highest of the table; a test compares.
const dearestPrice Money = 460_000

// BuiltInPrice is the built-in price of one part of a text message to a country.
func BuiltInPrice(country string) (Money, bool) {
	_, rest, ok := strings.Cut(smsPrices, "\n"+country+",")
	if !ok || len(country) != 2 {
		return 0, false
	}
	amount, _, _ := strings.Cut(rest, "\n")
	m, err := parseMoney(strings.TrimSpace(amount))
	return m, err == nil
}

// limitSettings lists the limits of a project.
func limitSettings() []option[Project] {
	limit := func(key, env, def, help string, at func(*Limits) *int) option[Project] {
		return limitSetting("limits."+key, "CONNECTLINK_LIMIT_"+env, def, help+` A whole number, or "unlimited".`,
			func(p *Project) *int { return at(&p.Limits) })
	}
	return []option[Project]{
		limit("recipient_per_hour", "RECIPIENT_PER_HOUR", "5", "Messages to one address or number in any 60 minutes, over all invites of the same sender. Like all limits, for live keys and staff; test mode is not limited.",
			func(l *Limits) *int { return &l.RecipientPerHour }),
		limit("recipient_per_day", "RECIPIENT_PER_DAY", "10", "The same in any 24 hours; at most 1000.",
			func(l *Limits) *int { return &l.RecipientPerDay }),
		limit("user_per_day", "USER_PER_DAY", "20", "Messages for one external user in any 24 hours; at most 1000.",
			func(l *Limits) *int { return &l.UserPerDay }),
		limit("resends_per_invite", "RESENDS_PER_INVITE", "10", "How often one invite can be resent.",
			func(l *Limits) *int { return &l.ResendsPerInvite }),
		limit("key_per_day", "KEY_PER_DAY", "20000", "Messages by one API key or member of staff per day (UTC).",
			func(l *Limits) *int { return &l.KeyPerDay }),
		limit("project_per_day", "PROJECT_PER_DAY", "50000", "Messages of the project per day (UTC).",
			func(l *Limits) *int { return &l.ProjectPerDay }),
		limit("sms_country_per_day", "SMS_COUNTRY_PER_DAY", "2000", "Text messages to one country per day (UTC).",
			func(l *Limits) *int { return &l.CountryPerDay }),
		limit("sms_block_per_day", "SMS_BLOCK_PER_DAY", "50", "Text messages to one block of 10,000 neighbouring numbers per day (UTC): numbers that are pumped for money lie side by side.",
			func(l *Limits) *int { return &l.BlockPerDay }),
		{
			key: "limits.spend_per_day", env: "CONNECTLINK_LIMIT_SPEND_PER_DAY", def: "100", typed: true,
			help: `What messages of the project may cost per day (UTC), by the price table; an amount, or "unlimited".`,
			set: func(p *Project, values []string) error {
				if strings.EqualFold(values[0], unlimited) {
					p.Limits.SpendPerDay = Unlimited
					return nil
				}
				m, err := parseMoney(values[0])
				if err == nil && m == 0 {
					err = errZeroLimit
				}
				if err == nil {
					p.Limits.SpendPerDay = m
				}
				return err
			},
			show: func(p *Project) string {
				if p.Limits.SpendPerDay == Unlimited {
					return unlimited
				}
				return p.Limits.SpendPerDay.String()
			},
		},
		listSetting("limits.sms_countries", "CONNECTLINK_LIMIT_SMS_COUNTRIES", "", "Countries that text messages are sent to, by their two-letter codes, or all. Default: brand.region only.",
			func(p *Project) *[]string { return &p.Limits.SMSCountries }, checkSMSCountry).once(),
		{
			key: "limits.sms_prices", env: "CONNECTLINK_LIMIT_SMS_PRICES", list: true,
			help: "Your prices for one part of a text message, as US=0.0083, DE=0.09. Default: built-in estimates in US dollars, at the upper end of public price lists.",
			set: func(p *Project, values []string) error {
				prices := make(map[string]Money, len(values))
				for i, v := range values {
					country, price, err := parsePrice(v, "=")
					if _, twice := prices[country]; err == nil && twice {
						err = errors.New("stands there twice")
					}
					if err != nil {
						return fmt.Errorf("entry %d: %w", i+1, err)
					}
					prices[country] = price
				}
				p.Limits.SMSPrices = prices
				return nil
			},
			show: func(p *Project) string {
				var words []string
				for _, c := range slices.Sorted(maps.Keys(p.Limits.SMSPrices)) {
					words = append(words, c+"="+p.Limits.SMSPrices[c].String())
				}
				return strings.Join(words, ", ")
			},
		},
		{
			key: "limits.email_price", env: "CONNECTLINK_LIMIT_EMAIL_PRICE", def: "0.001", typed: true,
			help: "Your price for one email, for limits.spend_per_day.",
			set: func(p *Project, values []string) (err error) {
				p.Limits.EmailPrice, err = parseMoney(values[0])
				return err
			},
			show: func(p *Project) string { return p.Limits.EmailPrice.String() },
		},
	}
}

var errZeroLimit = errors.New(`want more than 0; to stop sending use the console or pause the channel, and for no limit write "unlimited"`)

// maxLimit is more than one project sends in a day.
const maxLimit = 100_000_000

// limitSetting is a setting that is a number from 1, or "unlimited".
func limitSetting(key, env, def, help string, at func(*Project) *int) option[Project] {
	return option[Project]{key: key, env: env, def: def, help: help, typed: true,
		set: func(p *Project, values []string) error {
			if strings.EqualFold(values[0], unlimited) {
				*at(p) = Unlimited
				return nil
			}
			n, err := strconv.Atoi(values[0])
			switch {
			case err == nil && n == 0:
				return errZeroLimit
			case err != nil || n < 0 || n > maxLimit:
				return fmt.Errorf(`want a whole number from 1 to %d, or "unlimited"`, maxLimit)
			}
			*at(p) = n
			return nil
		},
		show: func(p *Project) string {
			if *at(p) == Unlimited {
				return unlimited
			}
			return strconv.Itoa(*at(p))
		},
	}
}

// maxPersonLimit bounds the limits that are counted message by message.
const maxPersonLimit = 1000

// checkLimits refuses limits that contradict each other. A default that is larger
// than what it is a part of is no contradiction: the smaller limit applies.
func (l *loader) checkLimits(where string, p Project) {
	type named struct {
		key string
		n   int
	}
	lim := p.Limits
	inOrder := func(why string, small, large named) {
		if large.n != Unlimited && small.n > large.n && strconv.Itoa(small.n) != defaultOf(small.key) {
			l.faults.add(l.name(where, small.key), "is %d, more than %s, which is %d: %s", small.n, l.name(where, large.key), large.n, why)
		}
	}
	hour, day := named{"limits.recipient_per_hour", lim.RecipientPerHour}, named{"limits.recipient_per_day", lim.RecipientPerDay}
	key, project := named{"limits.key_per_day", lim.KeyPerDay}, named{"limits.project_per_day", lim.ProjectPerDay}
	block, country := named{"limits.sms_block_per_day", lim.BlockPerDay}, named{"limits.sms_country_per_day", lim.CountryPerDay}
	inOrder("an hour is a part of the day", hour, day)
	inOrder("a key is a part of the project", key, project)
	inOrder("a block of numbers is a part of its country", block, country)
	inOrder("a country is a part of the project", country, project)
	for _, n := range []named{hour, day, {"limits.user_per_day", lim.UserPerDay}} {
		if n.n > maxPersonLimit {
			l.faults.add(l.name(where, n.key), `want at most %d, or "unlimited"`, maxPersonLimit)
		}
	}
	if slices.Contains(lim.SMSCountries, EveryCountry) && len(lim.SMSCountries) > 1 {
		l.faults.add(l.name(where, "limits.sms_countries"), "names all and single countries; write one or the other")
	}
}

// defaultOf is the default of a project's setting, as it is written.
func defaultOf(key string) string {
	for _, o := range limitSettings() {
		if o.key == key {
			return o.def
		}
	}
	return ""
}

func checkSMSCountry(s string) (string, error) {
	if strings.EqualFold(s, EveryCountry) {
		return EveryCountry, nil
	}
	code, err := checkRegion(strings.ToUpper(s))
	if err != nil {
		return "", errors.New("want a country's two-letter code, as US or DE, or all")
	}
	return code, nil
}

// parsePrice reads a country, a sign and a price.
func parsePrice(s, sign string) (country string, price Money, err error) {
	country, amount, ok := strings.Cut(s, sign)
	if !ok {
		return "", 0, fmt.Errorf("want a country, %s and a price, as US%s0.0083", sign, sign)
	}
	if country, err = checkRegion(strings.ToUpper(strings.TrimSpace(country))); err != nil {
		return "", 0, err
	}
	price, err = parseMoney(strings.TrimSpace(amount))
	return country, price, err
}

// maxMoney bounds amounts, so that a day's sum fits.
const maxMoney = 1_000_000

// parseMoney reads an amount with up to six decimals.
func parseMoney(s string) (Money, error) {
	whole, part, hasPart := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole, 10, 32)
	if err != nil || n > maxMoney || hasPart && (part == "" || len(part) > 6 || strings.Trim(part, "0123456789") != "") {
		return 0, fmt.Errorf("want an amount from 0 to %d with at most six decimals, as 0.0083", maxMoney)
	}
	m := Money(n) * OneMoney
	if hasPart {
		millionths, err := strconv.ParseUint((part + "000000")[:6], 10, 32)
		if err != nil {
			return 0, errors.New("want an amount, as 0.0083")
		}
		m += Money(millionths)
	}
	return m, nil
}
