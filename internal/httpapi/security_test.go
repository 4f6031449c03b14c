package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/web"
)

func TestSecurityTextNamesTheContactOfTheInstallation(t *testing.T) {
	t.Parallel()
	const path = "/.well-known/security.txt"
	if w := page(newEcho(t, web.Params{}, httpapi.Params{PublicURL: publicURL}), path); w.Code != 404 {
		t.Errorf("without a contact: %d", w.Code)
	}
	w := page(newEcho(t, web.Params{}, httpapi.Params{PublicURL: publicURL, SecurityContact: "mailto:security@acme.example"}), path)
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	fields := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		fields[name] = value
	}
	if fields["Contact"] != "mailto:security@acme.example" || fields["Canonical"] != publicURL+path {
		t.Errorf("%v", fields)
	}
	until, err := time.Parse(time.RFC3339, fields["Expires"])
	if left := time.Until(until); err != nil || left < 80*24*time.Hour || left > 365*24*time.Hour {
		t.Errorf("expires %q, %v", fields["Expires"], err)
	}
}
