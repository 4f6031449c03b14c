package sandbox

import (
	"context"
	"net/http"
	"strings"
)

// defaultAccount is whose a request is that names no account.
const defaultAccount = "default"

type accountKey struct{}

// byAccount takes the account off the path: at the vendors it would follow from
// the credentials, and each has webhooks of its own.
func byAccount(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, named := strings.CutPrefix(r.URL.Path, "/@")
		account, _, _ := strings.Cut(rest, "/")
		if !named || account == "" {
			next.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), accountKey{}, account))
		http.StripPrefix("/@"+account, next).ServeHTTP(w, r)
	})
}

func accountOf(r *http.Request) string {
	if account, ok := r.Context().Value(accountKey{}).(string); ok {
		return account
	}
	return defaultAccount
}

// account is whose message it is. One that was taken before there were several
// says nothing.
func (c *content) account() string {
	if c.Account == "" {
		return defaultAccount
	}
	return c.Account
}

// eventsURL is where an account's mail events go; "" when nowhere.
func (s *Sandbox) eventsURL(account string) string {
	if s.events != "" || s.hooks == "" {
		return s.events
	}
	return s.hooks + "/hooks/sendgrid/" + account + "/test"
}

// inboundURL is where goes what people text back; "" when nowhere.
func (s *Sandbox) inboundURL(account string) string {
	if s.hooks == "" {
		return ""
	}
	return s.hooks + "/hooks/twilio/inbound/" + account + "/test"
}
