package pipedream

import (
	"errors"
	"net/url"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

// ErrNotLink: there is nothing to append to, or no app to append.
var ErrNotLink = errors.New("not a connect link, or no app")

// Completion is what a connect link lacks when Pipedream gives it. App is required.
type Completion struct {
	App        string // name slug
	OAuthAppID string // "oa_…"; empty: Pipedream's own client
	// AccountID is the account to reconnect, "apn_…"; empty: a new one is connected.
	// It must be the same external user's, environment's and app's.
	AccountID string
}

// Complete completes a connect link with the app and, if there is one, the
// OAuth client and the account to reconnect. The URL stays as Pipedream gave it, byte for byte: only members
// named app and oauthAppId, and accountId where one is set, are dropped, and ours are put at the query's end. The
// query is not parsed and encoded again, which would sort it and respell its
// escapes.
func Complete(connectLinkURL secret.Text, with Completion) (secret.Text, error) {
	link := connectLinkURL.Reveal()
	if with.App == "" || link == "" {
		return secret.Text{}, ErrNotLink
	}
	rest, fragment, hasFragment := strings.Cut(link, "#")
	base, query, _ := strings.Cut(rest, "?")

	var b strings.Builder
	b.WriteString(base)
	b.WriteByte('?')
	if query != "" {
		kept := make([]string, 0, 4)
		for _, pair := range strings.Split(query, "&") {
			if !with.replaces(pair) {
				kept = append(kept, pair)
			}
		}
		b.WriteString(strings.Join(kept, "&"))
		if len(kept) > 0 && kept[len(kept)-1] != "" {
			b.WriteByte('&')
		}
	}
	b.WriteString("app=" + url.QueryEscape(with.App))
	if with.OAuthAppID != "" {
		b.WriteString("&oauthAppId=" + url.QueryEscape(with.OAuthAppID))
	}
	if with.AccountID != "" {
		b.WriteString("&accountId=" + url.QueryEscape(with.AccountID))
	}
	if hasFragment {
		b.WriteString("#" + fragment)
	}
	return secret.New(b.String()), nil
}

// replaces reports whether a pair of a query is one that is set. The name may be
// spelt with escapes.
func (with Completion) replaces(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	return name == "app" || name == "oauthAppId" || name == "accountId" && with.AccountID != ""
}
