package pipedream

import (
	"errors"
	"net/url"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

// ErrNotLink: there is nothing to append to, or no app to append.
var ErrNotLink = errors.New("not a connect link, or no app")

// AppendApp completes a connect link with the app and, if there is one, the
// OAuth client. The URL stays as Pipedream gave it, byte for byte: only members
// named app and oauthAppId are dropped, and ours are put at the query's end. The
// query is not parsed and encoded again, which would sort it and respell its
// escapes.
func AppendApp(connectLinkURL secret.Text, app, oauthAppID string) (secret.Text, error) {
	link := connectLinkURL.Reveal()
	if app == "" || link == "" {
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
			if !replaced(pair) {
				kept = append(kept, pair)
			}
		}
		b.WriteString(strings.Join(kept, "&"))
		if len(kept) > 0 && kept[len(kept)-1] != "" {
			b.WriteByte('&')
		}
	}
	b.WriteString("app=" + url.QueryEscape(app))
	if oauthAppID != "" {
		b.WriteString("&oauthAppId=" + url.QueryEscape(oauthAppID))
	}
	if hasFragment {
		b.WriteString("#" + fragment)
	}
	return secret.New(b.String()), nil
}

// replaced reports whether a pair of a query is one that AppendApp sets. The name
// may be spelt with escapes.
func replaced(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	return name == "app" || name == "oauthAppId"
}
