package track_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/track"
)

// TestF23WhatPipedreamsWordsMean: names of apps and scopes have words in them that
// mean something else elsewhere.
func TestF23WhatPipedreamsWordsMean(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]track.Failure{
		"Error connecting your Google Workspace Admin account: invalid_grant": track.FailureOther,
		"Permission scope missing: admin.directory.user.readonly":             track.FailureOther,
		"AADSTS65004: User declined to consent":                               track.FailureDenied,
		"Error connecting your Forbidden Planet account: timed out":           track.FailureOther,
		"Error connecting your Slack account: access_denied":                  track.FailureDenied,
		"access denied":                                     track.FailureDenied,
		"The user denied the request":                       track.FailureDenied,
		"User did not grant access":                         track.FailureDenied,
		"AADSTS90094: The grant requires admin permission.": track.FailureDenied,
		"AADSTS65001: The user or administrator has not consented to use the application": track.FailureDenied,
		"Need admin approval":                        track.FailureDenied,
		"Your administrator has not approved this":   track.FailureDenied,
		"Error 400: admin_policy_enforced":           track.FailureDenied,
		"This app is blocked by your administrator":  track.FailureDenied,
		"Permission was not granted":                 track.FailureDenied,
		"You don't have permission to install apps":  track.FailureDenied,
		"The user cancelled":                         track.FailureCanceled,
		"The window was closed":                      track.FailureCanceled,
		"request aborted":                            track.FailureCanceled,
		"OAUTH_EC_APP_NOT_FOUND":                     track.FailureOther,
		"admin api error 500":                        track.FailureOther,
		"insufficient permission scopes: read:admin": track.FailureOther,
		"invalid_scope":                              track.FailureOther,
		"":                                           track.FailureOther,
	} {
		if got := track.FailureOf(words); got != want {
			t.Errorf("%q: %s, want %s", words, got, want)
		}
	}
}
