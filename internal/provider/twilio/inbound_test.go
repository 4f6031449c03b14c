package twilio_test

import (
	"net/url"
	"testing"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/twilio"
)

func TestParseInbound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body, optOut string
		want         provider.Keyword
	}{
		{"STOP", "", provider.Stop}, {" stop\n", "", provider.Stop}, {"StopAll", "", provider.Stop}, {"unsubscribe", "", provider.Stop}, {"CANCEL", "", provider.Stop},
		{"end", "", provider.Stop}, {"quit", "", provider.Stop}, {"REVOKE", "", provider.Stop}, {"optout", "", provider.Stop},
		{"START", "", provider.Start}, {"unstop", "", provider.Start}, {"Yes", "", provider.Start}, {"help", "", provider.Help}, {"INFO", "", provider.Help},
		{"arrêt", "STOP", provider.Stop}, {"hola", "START", provider.Start}, {"?", "HELP", provider.Help},
		// F21: punctuation and quotes around it, courtesy, other languages.
		{"Stop.", "", provider.Stop}, {"STOP!", "", provider.Stop}, {`"STOP"`, "", provider.Stop}, {"“Stop”", "", provider.Stop}, {"stop please", "", provider.Stop},
		{"please stop", "", provider.Stop}, {"ARRET", "", provider.Stop}, {"Arrêt !", "", provider.Stop}, {"Opt out", "", provider.Stop}, {"opt-out", "", provider.Stop},
		{"Stop. Thank you", "", provider.Stop}, {"STOP STOP STOP", "", provider.Stop}, {"stop all", "", provider.Stop}, {"(stop)", "", provider.Stop},
		{"stop texting me", "", provider.Stop}, {"Unsubscribe me", "", provider.Stop}, {"abmelden bitte", "", provider.Stop}, {"BAJA", "", provider.Stop}, {"إيقاف", "", provider.Stop},
		{"st\u200bop", "", provider.Stop}, {"Remove me", "", provider.Stop}, {"Start.", "", provider.Start}, {"Help?", "", provider.Help}, {"stop", "START", provider.Start},
		{"", "", ""}, {"yes please", "", ""}, {"don't stop", "", ""}, {"I will stop by tomorrow", "", ""}, {"cancel this meeting", "", ""}, {"the end is near", "", ""},
		{"stop sending me invoices but keep the links", "", ""}, {"non-stop", "", ""},
	} {
		got, err := twilio.ParseInbound(url.Values{
			"MessageSid": {isSID(1)}, "From": {"+12025550123"}, "To": {"+15005550006"}, "MessagingServiceSid": {"MG1"}, "Body": {c.body}, "OptOutType": {c.optOut},
		})
		if err != nil || got.Keyword != c.want || got.From.Reveal() != "+12025550123" || got.To != "+15005550006" || got.Service != "MG1" {
			t.Errorf("%q, %q: %+v %v, want %q", c.body, c.optOut, got, err, c.want)
		}
	}
	for name, form := range map[string]url.Values{
		"nothing":          {},
		"no message":       {"From": {"+12025550123"}, "To": {"+1"}},
		"not from a phone": {"MessageSid": {isSID(1)}, "From": {"whatsapp:+12025550123"}, "To": {"+15005550006"}},
		"to nobody":        {"MessageSid": {isSID(1)}, "From": {"+12025550123"}},
	} {
		if got, err := twilio.ParseInbound(form); err == nil {
			t.Errorf("%s was read as %+v", name, got)
		}
	}
}

// TestF21WhatContainsAStopWordIsSaidSo, so that a person looks at it.
func TestF21WhatContainsAStopWordIsSaidSo(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"don't stop": true, "why don't you stop this nonsense": true, "I want to opt out of that, how?": true, "stopping now": true, "Who is this?": false,
		"STOP": false, "": false, "wie kann ich mich abmelden und wo": true, "unsubscribed already": true,
	} {
		got, err := twilio.ParseInbound(url.Values{"MessageSid": {isSID(1)}, "From": {"+12025550123"}, "To": {"+15005550006"}, "Body": {body}})
		if err != nil || got.LikeStop != want || got.Body.Reveal() != body {
			t.Errorf("%q: %+v %v, want %t", body, got, err, want)
		}
	}
}

func TestParseBody(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{"a=1&b=2": "1", "a=1&a=2": "1", `{"a":1}`: "1", `  {"a":"1","b":{}}`: "1", `{"a":true}`: "true", "": ""} {
		if got, err := twilio.ParseBody([]byte(raw)); err != nil || got.Get("a") != want {
			t.Errorf("%s: %v %v", raw, got, err)
		}
	}
	for _, raw := range []string{"%zz", `{"a":1`, `{"a":1}{`, "{}[]"} {
		if got, err := twilio.ParseBody([]byte(raw)); err == nil {
			t.Errorf("%s was read as %v", raw, got)
		}
	}
}
