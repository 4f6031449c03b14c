package pipedream_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	const token = "ctok_4f0c1d2e3b5a69788796a5b4c3d2e1f0"
	for name, c := range map[string]struct{ link, app, oauth, want, account string }{
		// Pipedream's quickstart:
		// https://pipedream.com/_static/connect.html?token={token}&connectLink=true&app={appSlug}&oauthAppId={oauthAppId}
		"the quickstart's form": {
			"https://pipedream.com/_static/connect.html?token=" + token + "&connectLink=true", "slack", "oa_abc123",
			"https://pipedream.com/_static/connect.html?token=" + token + "&connectLink=true&app=slack&oauthAppId=oa_abc123", ""},
		"without an OAuth client": {
			"https://pipedream.com/_static/connect.html?token=" + token + "&connectLink=true", "slack", "",
			"https://pipedream.com/_static/connect.html?token=" + token + "&connectLink=true&app=slack", ""},
		"an account to reconnect": {
			"https://pipedream.com/_static/connect.html?token=" + token + "&connectLink=true", "slack", "oa_abc123",
			"https://pipedream.com/_static/connect.html?token=" + token + "&connectLink=true&app=slack&oauthAppId=oa_abc123&accountId=apn_X1", "apn_X1"},
		"another account is replaced":             {"https://p.example/c?accountId=apn_old&t=1", "x", "", "https://p.example/c?t=1&app=x&accountId=apn_new", "apn_new"},
		"without one it is Pipedream's own":       {"https://p.example/c?accountId=apn_old&t=1", "x", "", "https://p.example/c?accountId=apn_old&t=1&app=x", ""},
		"nothing is added that was not asked for": {"https://p.example/c?token=t", "slack", "", "https://p.example/c?token=t&app=slack", ""},
		"order and escapes stay":                  {"https://p.example/c?z=%7e+%2F&a=1&&b", "x", "", "https://p.example/c?z=%7e+%2F&a=1&&b&app=x", ""},
		"values are escaped":                      {"https://p.example/c?t=1", "a b&c=d#e", "o/+%", "https://p.example/c?t=1&app=a+b%26c%3Dd%23e&oauthAppId=o%2F%2B%25", ""},
		"what was there is replaced":              {"https://p.example/c?app=old&t=1&oauthAppId=oa_old&app=older", "new", "oa_new", "https://p.example/c?t=1&app=new&oauthAppId=oa_new", ""},
		"also to none":                            {"https://p.example/c?t=1&oauthAppId=oa_old", "new", "", "https://p.example/c?t=1&app=new", ""},
		"also spelt with escapes":                 {"https://p.example/c?t=1&%61pp=old&oauthApp%49d=x", "new", "", "https://p.example/c?t=1&app=new", ""},
		"names that only look alike stay":         {"https://p.example/c?App=1&app_id=2&apps=3&appOverrideId=4", "x", "", "https://p.example/c?App=1&app_id=2&apps=3&appOverrideId=4&app=x", ""},
		"a broken escape stays":                   {"https://p.example/c?%zz=1", "x", "", "https://p.example/c?%zz=1&app=x", ""},
		"the fragment stays":                      {"https://p.example/c?t=1#/a?app=1&b", "x", "oa_1", "https://p.example/c?t=1&app=x&oauthAppId=oa_1#/a?app=1&b", ""},
		"an empty fragment too":                   {"https://p.example/c?t=1#", "x", "", "https://p.example/c?t=1&app=x#", ""},
		"no query":                                {"https://p.example/c", "x", "", "https://p.example/c?app=x", ""},
		"an empty query":                          {"https://p.example/c?", "x", "", "https://p.example/c?app=x", ""},
		"only an app":                             {"https://p.example/c?app=old", "x", "", "https://p.example/c?app=x", ""},
		"a trailing separator":                    {"https://p.example/c?t=1&", "x", "", "https://p.example/c?t=1&app=x", ""},
		"the host stays as it is":                 {"https://OAuth.Partner.example:8443/c?t=1", "x", "", "https://OAuth.Partner.example:8443/c?t=1&app=x", ""},
	} {
		got, err := pipedream.Complete(secret.New(c.link), pipedream.Completion{App: c.app, OAuthAppID: c.oauth, AccountID: c.account})
		if err != nil || got.Reveal() != c.want {
			t.Errorf("%s:\n got %s %v\nwant %s", name, got.Reveal(), err, c.want)
		}
	}
	for _, c := range [][2]string{{"", "slack"}, {"https://p.example/c", ""}} {
		if got, err := pipedream.Complete(secret.New(c[0]), pipedream.Completion{App: c[1]}); err == nil {
			t.Errorf("%q with app %q gave %q", c[0], c[1], got.Reveal())
		}
	}
}

// Appending twice is appending once: a resend of a stored link must not grow it.
func FuzzCompleteIsIdempotent(f *testing.F) {
	f.Add("https://p.example/c?t=1&app=a#f", "slack", "oa_1")
	f.Add("x?&&=&app", "a&b", "")
	f.Fuzz(func(t *testing.T, link, app, oauth string) {
		once, err := pipedream.Complete(secret.New(link), pipedream.Completion{App: app, OAuthAppID: oauth})
		if err != nil {
			return
		}
		twice, err := pipedream.Complete(once, pipedream.Completion{App: app, OAuthAppID: oauth})
		if err != nil || once != twice {
			t.Errorf("%q then %q: %v", once.Reveal(), twice.Reveal(), err)
		}
	})
}
