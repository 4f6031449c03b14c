package sandbox

import "net/http"

// twilioService serves the one Messaging Service and its senders, as the API at
// messaging.twilio.com does.
func (s *Sandbox) twilioService(w http.ResponseWriter, r *http.Request, path string) {
	id := s.cred.TwilioMessagingServiceSID
	list := func(member string, items ...any) {
		if items == nil {
			items = []any{}
		}
		writeJSON(w, http.StatusOK, jsonType, map[string]any{member: items, "meta": map[string]any{"key": member, "page": 0, "next_page_url": nil}})
	}
	switch path {
	case id:
		writeJSON(w, http.StatusOK, jsonType, map[string]any{"sid": id, "account_sid": s.cred.TwilioAccountSID, "friendly_name": "connectlink sandbox"})
	case id + "/PhoneNumbers":
		list("phone_numbers", map[string]any{
			"sid": "PN" + id[2:], "service_sid": id, "account_sid": s.cred.TwilioAccountSID, "phone_number": "+15005550006",
			"capabilities": []string{"MMS", "SMS", "Voice"},
		})
	case id + "/ShortCodes":
		list("short_codes")
	case id + "/AlphaSenders":
		list("alpha_senders")
	default:
		s.twilioNotFound(w, r)
	}
}
