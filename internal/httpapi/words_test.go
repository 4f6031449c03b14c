package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/connectlink/connectlink/config"
)

// TestF10WhatWasChangedInATextIsSaid in the answers of create, its replay, resend
// and preview.
func TestF10WhatWasChangedInATextIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@customer.example","name":"Jan.de Vries"},
		"inviter":{"name":"Jane at Booking.com"},"reason":"so that we can plan  your day","note":"Call +1 888 555 0100"}`
	want := []string{"/recipient/name Jan. de Vries", "/inviter/name Jane at Booking. com", "/note Call"}
	var causes []string // of the last reply
	read := func(r reply) []string {
		var out []string
		causes = nil
		list, _ := r.json(t)["warnings"].([]any)
		inv := r.json(t)
		for _, one := range list {
			warning := one.(map[string]any)
			if warning["code"] != "text_changed" || warning["detail"] == "" {
				t.Errorf("%v", warning)
			}
			for _, c := range warning["changes"].([]any) {
				change := c.(map[string]any)
				causes = append(causes, fmt.Sprint(change["text"], ": ", change["cause"]))
			}
			shown := ""
			switch warning["pointer"] {
			case "/recipient/name":
				shown = inv["recipient"].(map[string]any)["name"].(string)
			case "/inviter/name":
				shown = inv["inviter"].(map[string]any)["name"].(string)
			case "/note":
				shown = inv["note"].(string)
			}
			out = append(out, fmt.Sprint(warning["pointer"], " ", shown))
		}
		return out
	}
	made := w.call(t, w.key, "POST", "/v1/invites", body, "Idempotency-Key: k")
	if got := read(made); made.status != 201 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("create: %d %q, want %q", made.status, got, want)
	}
	if want := "[Jan.de: joined_words Booking.com: joined_words +1 888 555 0100: phone_number]"; fmt.Sprint(causes) != want {
		t.Errorf("the changes are %q, want %q", causes, want)
	}
	if again := w.call(t, w.key, "POST", "/v1/invites", body, "Idempotency-Key: k"); string(again.body) != string(made.body) {
		t.Errorf("replayed: %s, was %s", again.body, made.body)
	}
	id := made.at(t, "id").(string)
	if r := w.call(t, w.key, "GET", "/v1/invites/"+id, ""); r.json(t)["warnings"] != nil {
		t.Errorf("a read repeats warnings: %s", r.body)
	}
	r := w.call(t, w.key, "POST", "/v1/invites/"+id+"/resend", `{"recipient":{"email":"jan@customer.example"},"note":"see monday.com"}`)
	if got := read(r); r.status != 200 || fmt.Sprint(got) != "[/note see monday. com]" {
		t.Errorf("resend: %d %q %s", r.status, got, r.body)
	}
	if r := w.call(t, w.key, "POST", "/v1/invites/preview", body); r.status != 200 || len(r.json(t)["warnings"].([]any)) != 3 {
		t.Errorf("preview: %d", r.status)
	}
	if r := w.call(t, w.key, "POST", "/v1/invites", byEmail); r.json(t)["warnings"] != nil {
		t.Errorf("nothing was changed: %s", r.body)
	}
}

// TestSecurityF7AProjectMayKeepCallersTextFromRecipients.
func TestSecurityF7AProjectMayKeepCallersTextFromRecipients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@customer.example","name":"Pat"},
		"inviter":{"name":"Sam"},"reason":"so that it works","note":"Hello"}`
	for setting, want := range map[string]string{
		config.FreeTextAll: "Pat map[name:Sam] so that it works Hello", config.FreeTextInviter: "Pat map[name:Sam] <nil> <nil>", config.FreeTextNone: "<nil> <nil> <nil> <nil>",
	} {
		w.project.FreeText = setting
		made := w.call(t, w.key, "POST", "/v1/invites", body)
		got := fmt.Sprint(made.at(t, "recipient.name"), " ", made.json(t)["inviter"], " ", made.json(t)["reason"], " ", made.json(t)["note"])
		if made.status != 201 || got != want {
			t.Errorf("%s: %d %q, want %q", setting, made.status, got, want)
		}
		left, _ := made.json(t)["warnings"].([]any)
		if len(left) != map[string]int{config.FreeTextAll: 0, config.FreeTextInviter: 2, config.FreeTextNone: 4}[setting] {
			t.Errorf("%s: %v", setting, left)
		}
		for _, one := range left {
			if change := one.(map[string]any)["changes"].([]any)[0].(map[string]any); change["cause"] != "free_text" || change["text"] == "" || change["shown"] != "" {
				t.Errorf("%s: %v", setting, change)
			}
		}
		r := w.call(t, w.key, "POST", "/v1/invites/"+made.at(t, "id").(string)+"/resend", `{"recipient":{"email":"kim@customer.example"},"note":"Again"}`)
		if note := r.json(t)["note"]; r.status != 200 || (note == nil) != (setting != config.FreeTextAll) {
			t.Errorf("%s: resend: %d, note %v", setting, r.status, note)
		}
	}
}
