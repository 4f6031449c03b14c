package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"time"
)

// connectPage is Pipedream's hosted page.
type connectPage struct {
	AppName, Initial, Auth, Product string
	Host                            string
	Token, App, OAuthAppID, Account string
	Problem                         string
	Expires                         time.Time
	Minutes                         int
	Environment, User               string
}

// connectQuery reads the members both GET's query and POST's form carry.
func connectQuery(v url.Values) (token, app, oauthApp, account string) {
	return v.Get("token"), v.Get("app"), v.Get("oauthAppId"), v.Get("accountId")
}

// serveConnectPage is the GET: it shows, and spends nothing.
func (s *Sandbox) serveConnectPage(w http.ResponseWriter, r *http.Request) {
	token, slug, oauthApp, reconnect := connectQuery(r.URL.Query())
	if page, ok := s.openConnectPage(w, r, token, slug); ok {
		page.OAuthAppID, page.Account = oauthApp, reconnect
		if failed := r.URL.Query().Get("failed"); failed != "" {
			page.Problem = connectionErrors()[failed]
		}
		s.render(w, http.StatusOK, "connect", page)
	}
}

// openConnectPage checks token and app, answering with Pipedream's own kind of
// error page when they will not do.
func (s *Sandbox) openConnectPage(w http.ResponseWriter, r *http.Request, token, slug string) (connectPage, bool) {
	t, c, found, err := s.findToken(r.Context(), token)
	if err != nil {
		s.pageFailed(w, "connect", err)
		return connectPage{}, false
	}
	now := s.now()
	if !found || !t.alive(now) {
		s.deadLink(w)
		return connectPage{}, false
	}
	if slug == "" {
		slug = t.App
	}
	a := findApp(slug)
	if a == nil {
		s.render(w, http.StatusNotFound, "notice", notice{
			Title: "App not found", Text: "This link does not name an app we know. Please check the app id.", Code: "app=" + slug,
		})
		return connectPage{}, false
	}
	return connectPage{
		AppName: a.name, Initial: string([]rune(a.name)[:1]), Auth: a.auth, Product: s.app, Token: token, App: a.slug,
		Expires: t.ExpiresAt, Minutes: int(t.ExpiresAt.Sub(now) / time.Minute), Environment: t.Environment, User: c.ExternalUserID,
	}, true
}

func (s *Sandbox) deadLink(w http.ResponseWriter) {
	s.render(w, http.StatusOK, "notice", notice{
		Title: "This link is no longer valid",
		Text:  "The token is invalid, has expired or was already used. Please ask " + s.app + " for a new link.",
	})
}

// connectionErrors are the buttons' messages, in Pipedream's words.
func connectionErrors() map[string]string {
	return map[string]string{
		"deny": "The user denied access.",
		"fail": "Test request failed. Please verify your credentials and try again.",
	}
}

// pressConnectPage is the POST of one of the page's buttons.
func (s *Sandbox) pressConnectPage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.render(w, http.StatusBadRequest, "notice", notice{Title: "That did not work", Text: "The form could not be read."})
		return
	}
	token, slug, oauthApp, reconnect := connectQuery(r.PostForm)
	page, ok := s.openConnectPage(w, r, token, slug)
	if !ok {
		return
	}
	plan := webhookPlan{copies: 1}
	switch r.PostForm.Get("webhook") {
	case "twice":
		plan.copies = 2
	case "late":
		plan.late = s.paces(5)
	case "never":
		plan.copies = 0
	}
	_, c, _, err := s.findToken(r.Context(), token)
	if err != nil {
		s.pageFailed(w, "connect", err)
		return
	}
	do := r.PostForm.Get("do")
	message, failed := connectionErrors()[do]
	switch {
	case failed:
		err = s.failConnection(r.Context(), token, message, plan)
	case do == "connect" && page.Auth == "none":
		// What the real page does for apps without an account: nothing.
		http.Redirect(w, r, s.public.Path+"/connect.html?"+retryQuery(token, slug, oauthApp, reconnect, ""), http.StatusSeeOther)
		return
	case do == "connect":
		_, err = s.connectAccount(r.Context(), token, findApp(page.App), oauthApp, reconnect, plan)
	default:
		s.render(w, http.StatusBadRequest, "notice", notice{Title: "That did not work", Text: "Unknown button."})
		return
	}
	switch {
	case errors.Is(err, errSpent):
		s.deadLink(w)
	case err != nil:
		s.pageFailed(w, "connect", err)
	case failed && c.ErrorURI != "":
		seeOther(w, c.ErrorURI)
	case failed:
		http.Redirect(w, r, s.public.Path+"/connect.html?"+retryQuery(token, slug, oauthApp, reconnect, do), http.StatusSeeOther)
	case c.SuccessURI != "":
		seeOther(w, c.SuccessURI)
	default:
		s.render(w, http.StatusOK, "notice", notice{
			Title: page.AppName + " is connected", Text: "You can close this page and go back to " + s.app + ".", OK: true,
		})
	}
}

func retryQuery(token, slug, oauthApp, reconnect, failed string) string {
	q := url.Values{"token": {token}, "connectLink": {"true"}, "app": {slug}}
	for k, v := range map[string]string{"oauthAppId": oauthApp, "accountId": reconnect, "failed": failed} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return q.Encode()
}

// seeOther redirects verbatim: http.Redirect would tidy a URI that is not
// ours, and custom schemes must pass as they are.
func seeOther(w http.ResponseWriter, target string) {
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}
