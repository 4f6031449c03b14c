package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestFuzzNaughtyStringsThroughEveryTextField: a public corpus (see the README of
// internal/contact/testdata) in all text fields of an invite at once, created and
// previewed by both channels. No answer is 5xx, and no text becomes an element or an
// attribute of the email or of a page.
func TestFuzzNaughtyStringsThroughEveryTextField(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../contact/testdata/blns.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus []string
	if err := json.Unmarshal(raw, &corpus); err != nil || len(corpus) < 500 {
		t.Fatalf("%d strings, %v", len(corpus), err)
	}
	p := start(t, boot{})
	request := func(s, channel string, n int) object {
		body := object{
			"external_user_id": "u" + s, "app": "slack", "channel": channel, "reason": s, "note": s, "metadata": object{"plan": s},
			"recipient": object{"email": fmt.Sprintf("delivered+%d@connectlink.test", n), "name": s}, "inviter": object{"name": s},
		}
		if channel == "sms" {
			body["recipient"] = object{"phone": "+12025550100", "name": s}
		}
		return body
	}
	documents := func(s string) (out []string, accepted bool) {
		status, _, answer := p.call(http.MethodPost, "/v1/invites/preview", request(s, "email", 0))
		if status >= http.StatusInternalServerError {
			t.Errorf("preview with %q: %d %v", s, status, answer)
		}
		if status != http.StatusOK {
			return nil, false
		}
		for _, one := range answer["previews"].([]any) {
			preview := object(one.(map[string]any))
			out = append(out, preview.text("email.html"))
			for _, page := range preview["pages"].([]any) {
				out = append(out, object(page.(map[string]any)).text("html"))
			}
		}
		return out, true
	}
	p.awaitLogo("slack")
	plain, ok := documents("some plain words")
	if !ok || len(plain) < 3 {
		t.Fatalf("%d documents of plain words", len(plain))
	}
	var usual []map[string]int
	for _, d := range plain {
		usual = append(usual, elements(t, d))
	}
	accepted := 0
	for i, s := range corpus {
		channel := []string{"email", "sms"}[i%2]
		status, _, answer := p.call(http.MethodPost, "/v1/invites", request(s, channel, i))
		if status >= http.StatusInternalServerError {
			t.Errorf("create with %q: %d %v", s, status, answer)
		}
		if status == http.StatusCreated {
			accepted++
		}
		made, ok := documents(s)
		if ok && len(made) != len(usual) {
			t.Errorf("%q: %d documents, want %d", s, len(made), len(usual))
			continue
		}
		for k, d := range made {
			for element, n := range elements(t, d) {
				if n > usual[k][element] {
					t.Errorf("%q makes %d %s of document %d, plain words %d", s, n, element, k, usual[k][element])
				}
			}
		}
	}
	if accepted < len(corpus)*3/4 {
		t.Errorf("%d of %d were accepted: the test proves little", accepted, len(corpus))
	}
	if strings.Contains(p.logs.String(), "panic") {
		t.Error("a request panicked")
	}
}

// elements counts the elements and attributes of a document by name.
func elements(t *testing.T, document string) map[string]int {
	t.Helper()
	found := make(map[string]int)
	for tokens := html.NewTokenizer(strings.NewReader(document)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			return found
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			found["<"+token.Data+">"]++
			for _, a := range token.Attr {
				found["<"+token.Data+" "+a.Key+">"]++
			}
		case html.CommentToken, html.DoctypeToken:
			found["<!"]++
		}
	}
}
