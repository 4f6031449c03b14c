package track

import (
	"regexp"
	"strings"
)

// Failure is our class for why a connection did not come about.
type Failure string

// The classes. Pipedream publishes no codes, only English words, so this is a
// best effort for the page's wording; nothing is decided by it.
const (
	FailureCanceled Failure = "cancelled"
	FailureDenied   Failure = "denied"
	FailureOther    Failure = "error"
)

// FailureOf classes Pipedream's words, which quote those of the app. Only phrases
// count: a word such as "admin" or "permission" stands in names of apps and scopes.
func FailureOf(words string) Failure {
	words = strings.ToLower(appName.ReplaceAllString(words, " "))
	words = strings.ReplaceAll(words, "’", "'")
	switch {
	case deniedWords.MatchString(words):
		return FailureDenied
	case canceledWords.MatchString(words):
		return FailureCanceled
	}
	return FailureOther
}

var (
	// appName is where Pipedream names the app: "Error connecting your … account".
	appName = regexp.MustCompile(`(?i)\bconnecting your .{1,80}? account\b`)
	// deniedWords say that a person or a policy did not grant the access: OAuth's
	// own words (RFC 6749, 4.1.2.1), Google's, and the codes and words of Microsoft
	// Entra (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
	deniedWords = regexp.MustCompile(`access[_ ]denied|consent_required|admin_policy_enforced|org_internal|\bdenied\b|\bdeclined\b|` +
		`\bforbidden\b|\bnot allowed\b|\b(?:did|does|do|has|have) ?(?:not|n't) (?:grant|given|give|allow|consent|approve|have permission)|` +
		`\b(?:not|n't) (?:been )?(?:granted|approved|consented|permitted)\b|\brefused (?:the )?(?:access|consent|permission)|` +
		`\b(?:needs?|requires?|required|ask|contact|by) (?:an? |your |the |approval (?:from|by|of) (?:an? |your |the )?)?(?:\w+ )?admin(?:istrator)?\b|` +
		`\badmin(?:istrator)? (?:approval|consent|has (?:not |blocked|disabled|restricted)|must|needs to)|approval (?:is )?required|blocked by|` +
		`aadsts(?:65001|65004|90094|90095|50105|90097|900941)\b`)
	canceledWords = regexp.MustCompile(`cancel|\bclosed\b|\babort`)
)
