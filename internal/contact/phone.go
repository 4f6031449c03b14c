package contact

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// maxPhoneInput bounds the input; E.164 has 15 digits, and people add
// brackets, dashes and spaces.
const maxPhoneInput = 64

// Phone is a number a text message can be sent to.
type Phone struct {
	E164   string // "+12025550100"
	Region string // ISO 3166 code, "US"; "001" where the number belongs to none
	Type   string // "mobile", "fixed_line_or_mobile", "voip", …; "scripted" for test numbers
}

// IsAbused reports whether numbers of this type are commonly used to earn money from
// text messages, or forward to lines that cost more: toll-free and personal numbers.
// Types that receive no text messages at all are refused by ParsePhone.
func (p Phone) IsAbused() bool { return p.Type == typeTollFree || p.Type == typePersonal }

// Country is the code of the number's country, or words for numbers of none.
func (p Phone) Country() string {
	if len(p.Region) == 2 {
		return p.Region
	}
	return "no country"
}

// Types of numbers that are asked for by name.
const (
	typeTollFree = "toll_free"
	typePersonal = "personal_number"
)

// TypeScripted is the Type of the numbers whose fate the sandbox scripts.
const TypeScripted = "scripted"

// ParsePhone reads a number as people write it. Region, an ISO 3166 code, is
// the country of numbers without a country code; without a region such a
// number is refused. Errors are *Fault: Required, TooLong, Invalid, or
// TypeUnsupported for a type that receives no SMS.
func ParsePhone(raw, region string) (Phone, error) {
	number, err := readPhone(raw, region)
	if err != nil {
		return Phone{}, err
	}
	return judgeNumber(number)
}

// ParsePhoneTest is ParsePhone for test mode: the numbers with scripted fates
// are accepted before any rule on validity or type is asked. They are the
// fictional +1 NXX 555-01XX and Twilio's magic +1 500 555 00XX.
func ParsePhoneTest(raw, region string) (Phone, error) {
	number, err := readPhone(raw, region)
	if err != nil {
		return Phone{}, err
	}
	if e164 := phonenumbers.Format(number, phonenumbers.E164); isScriptedNumber(e164) {
		return Phone{E164: e164, Region: "US", Type: TypeScripted}, nil
	}
	return judgeNumber(number)
}

func isScriptedNumber(e164 string) bool {
	rest, ok := strings.CutPrefix(e164, "+1")
	if !ok || len(rest) != 10 {
		return false
	}
	return strings.HasPrefix(rest, "50055500") || rest[3:8] == "55501"
}

func readPhone(raw, region string) (*phonenumbers.PhoneNumber, error) {
	if len(raw) > 4*maxPhoneInput {
		return nil, &Fault{Kind: TooLong, Detail: "A phone number has at most 15 digits."}
	}
	if !utf8.ValidString(raw) {
		return nil, invalidFault("The phone number is not valid UTF-8.")
	}
	// Address books wrap numbers in direction marks; they are invisible and
	// are copied along.
	s := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) || r == '\u2060' || r == '\ufeff' {
			return -1
		}
		if unicode.Is(unicode.Zs, r) {
			return ' ' // the library knows the plain one only
		}
		return r
	}, raw))
	if s == "" {
		return nil, &Fault{Kind: Required, Detail: "A phone number is needed."}
	}
	if utf8.RuneCountInString(s) > maxPhoneInput {
		return nil, &Fault{Kind: TooLong, Detail: "A phone number has at most 15 digits."}
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !phoneRune(r) }) {
		// Letters would be read as a vanity number (1-800-FLOWERS) or an
		// extension; here they are slips, such as O for 0.
		return nil, invalidFault("The phone number contains something other than digits, spaces and + ( ) - . /")
	}
	region = strings.ToUpper(strings.TrimSpace(region))
	if region == "" {
		region = "ZZ" // libphonenumber's "unknown": only international form is read
	}
	number, err := phonenumbers.Parse(s, region)
	if whole, ok := afterExitCode(s); ok && (err != nil || !phonenumbers.IsValidNumber(number)) {
		number, err = whole, nil
	}
	if err != nil {
		if region == "ZZ" && !strings.HasPrefix(s, "+") && !strings.HasPrefix(s, "＋") {
			return nil, invalidFault("Write the phone number with + and its country code, as in +12025550123.")
		}
		return nil, invalidFault("This is not a phone number.")
	}
	if number.GetExtension() != "" {
		return nil, invalidFault("The phone number has an extension, which cannot receive text messages.")
	}
	return asDialled(number), nil
}

// afterExitCode reads a number behind 00, the exit code of most countries, where it
// is one that exists: 0049 151 23456789.
func afterExitCode(s string) (*phonenumbers.PhoneNumber, bool) {
	rest, ok := strings.CutPrefix(s, "00")
	if !ok {
		return nil, false
	}
	number, err := phonenumbers.Parse("+"+strings.TrimLeft(rest, " -./"), "ZZ")
	if err != nil || !phonenumbers.IsValidNumber(asDialled(number)) {
		return nil, false
	}
	return number, true
}

// Countries whose mobile numbers are written in an earlier form.
const (
	brazil    = 55
	mexico    = 52
	argentina = 54
)

// asDialled returns a number in the form that networks use today. Address books
// keep the earlier one: Mexico dropped the 1 behind +52 in August 2019, Brazil put
// a 9 before its mobile numbers until 2016 (numbering plans of IFT and Anatel).
func asDialled(number *phonenumbers.PhoneNumber) *phonenumbers.PhoneNumber {
	national := phonenumbers.GetNationalSignificantNumber(number)
	switch number.GetCountryCode() {
	case mexico:
		if len(national) == 11 && national[0] == '1' {
			return orElse(mexico, national[1:], number)
		}
	case brazil:
		if len(national) == 10 && national[2] >= '6' {
			return orElse(brazil, national[:2]+"9"+national[2:], number)
		}
	}
	return number
}

// orElse returns the number with a national part, where that exists, else the one given.
func orElse(country int32, national string, number *phonenumbers.PhoneNumber) *phonenumbers.PhoneNumber {
	now, err := phonenumbers.Parse("+"+strconv.Itoa(int(country))+national, "ZZ")
	if err != nil || !phonenumbers.IsValidNumber(now) {
		return number
	}
	return now
}

// PhoneForms returns the forms in which networks and people write one number in
// E.164, itself first: Mexico's with the earlier 1, Argentina's with and without
// the 9 of mobile numbers. They reach the same phone.
func PhoneForms(e164 string) []string {
	forms := []string{e164}
	switch rest, ok := strings.CutPrefix(e164, "+52"); {
	case ok && len(rest) == 10:
		return append(forms, "+521"+rest)
	case ok && len(rest) == 11 && rest[0] == '1':
		return append(forms, "+52"+rest[1:])
	}
	switch rest, ok := strings.CutPrefix(e164, "+54"); {
	case ok && len(rest) == 10:
		return append(forms, "+549"+rest)
	case ok && len(rest) == 11 && rest[0] == '9':
		return append(forms, "+54"+rest[1:])
	}
	return forms
}

func phoneRune(r rune) bool {
	return unicode.IsDigit(r) || r == ' ' || unicode.Is(unicode.Pd, r) ||
		strings.ContainsRune("+＋()（）[]./·\u2212", r)
}

func judgeNumber(number *phonenumbers.PhoneNumber) (Phone, error) {
	if !phonenumbers.IsValidNumber(number) {
		return Phone{}, invalidFault("No phone has this number: its length or prefix does not exist in its country.")
	}
	kind := phonenumbers.GetNumberType(number)
	name, texts := phoneType(kind)
	if kind == phonenumbers.FIXED_LINE && number.GetCountryCode() == argentina {
		// Without the 9 a mobile number looks like a landline, and people leave it
		// out (libphonenumber's FAQ). The provider has the last word.
		name, texts = "fixed_line_or_mobile", true
	}
	if !texts {
		return Phone{}, &Fault{
			Kind:   TypeUnsupported,
			Detail: "This is a " + strings.ReplaceAll(name, "_", " ") + " number, which cannot receive text messages. Use a mobile number or another channel.",
		}
	}
	return Phone{
		E164:   phonenumbers.Format(number, phonenumbers.E164),
		Region: phonenumbers.GetRegionCodeForNumber(number),
		Type:   name,
	}, nil
}

// phoneType names a type and reports whether it may receive SMS. Toll-free and
// VoIP numbers often do; a personal number forwards to another line of its
// owner.
func phoneType(t phonenumbers.PhoneNumberType) (name string, texts bool) {
	switch t {
	case phonenumbers.MOBILE:
		return "mobile", true
	case phonenumbers.FIXED_LINE_OR_MOBILE:
		return "fixed_line_or_mobile", true
	case phonenumbers.TOLL_FREE:
		return typeTollFree, true
	case phonenumbers.VOIP:
		return "voip", true
	case phonenumbers.PERSONAL_NUMBER:
		return typePersonal, true
	case phonenumbers.FIXED_LINE:
		return "fixed_line", false
	case phonenumbers.PREMIUM_RATE:
		return "premium_rate", false
	case phonenumbers.SHARED_COST:
		return "shared_cost", false
	case phonenumbers.PAGER:
		return "pager", false
	case phonenumbers.UAN:
		return "company-wide", false
	case phonenumbers.VOICEMAIL:
		return "voicemail", false
	default:
		return "unknown", true
	}
}

// Last4 returns the last four digits of an E.164 number, by which support
// finds a number that was mistyped further up; fewer when there are fewer.
func Last4(e164 string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, e164)
	return digits[max(0, len(digits)-4):]
}

// PhoneRegion returns the ISO 3166 code of a number's country; "001" for numbers of
// no country and for texts that are no numbers.
func PhoneRegion(e164 string) string {
	const noCountry = "001"
	number, err := phonenumbers.Parse(e164, "ZZ")
	if err != nil {
		return noCountry
	}
	if region := phonenumbers.GetRegionCodeForNumber(number); len(region) == 2 {
		return region
	}
	return noCountry
}

// CallingCode returns the calling code of a number in E.164 with its +, such as "+44";
// empty for a text that is no number.
func CallingCode(e164 string) string {
	number, err := phonenumbers.Parse(e164, "ZZ")
	if err != nil {
		return ""
	}
	return "+" + strconv.Itoa(int(number.GetCountryCode()))
}

// KnownRegion reports whether ParsePhone can read national numbers of region.
func KnownRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// PhoneZones returns the time zones in which a number's owner may live, by the
// country or area it belongs to; none for what belongs to no place.
func PhoneZones(e164 string) []*time.Location {
	number, err := phonenumbers.Parse(e164, "ZZ")
	if err != nil {
		return nil
	}
	names, err := phonenumbers.GetTimezonesForNumber(number)
	if err != nil {
		return nil
	}
	var out []*time.Location
	for _, name := range names {
		if zone, err := time.LoadLocation(name); err == nil && name != phonenumbers.UNKNOWN_TIMEZONE {
			out = append(out, zone)
		}
	}
	return out
}

// RegionZones returns the time zones of a country, by its ISO 3166 code; none for an
// unknown code and for numbers of no country.
func RegionZones(region string) []*time.Location {
	number := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
	if number == nil {
		return nil
	}
	// A mobile number tells no place where a country has several zones, so all of them
	// are returned; in North America it does, and one coast stands for the country.
	return PhoneZones(phonenumbers.Format(number, phonenumbers.E164))
}
