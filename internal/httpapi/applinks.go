package httpapi

import (
	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// AppLinks are the apps that may open links of this host: those under /r/,
// where people return to. Never an invite link: an app cannot show its page.
type AppLinks struct {
	Apple   []string // team and bundle, "A1B2C3D4E5.example.acme.app"
	Android []AndroidApp
}

// AndroidApp is an app and the certificates it is signed with.
type AndroidApp struct {
	Package      string
	Fingerprints []string // SHA-256, as "14:6D:…"
}

// Patterns of paths. The exclusion comes first, because the first match counts.
const (
	invitePaths = "/c/*"
	donePaths   = "/done/*"
	returnPaths = "/r/*"
)

type pathRule struct {
	Path    string `json:"/"`
	Exclude bool   `json:"exclude,omitempty"`
}

func pathRules() []pathRule {
	return []pathRule{{invitePaths, true}, {donePaths, true}, {returnPaths, false}}
}

// appleApps answers Apple's file. webcredentials is what lets a sign-in sheet
// return by https (iOS 17.4); it gives no access to links.
func (a *api) appleApps(c echo.Context) error {
	type detail struct {
		AppIDs     []string   `json:"appIDs"`
		Components []pathRule `json:"components"`
	}
	type links struct {
		Details []detail `json:"details"`
	}
	type credentials struct {
		Apps []string `json:"apps"`
	}
	apps := a.AppLinks.Apple
	if len(apps) == 0 {
		return noApps()
	}
	return writeJSON(c, 200, struct {
		AppLinks       links       `json:"applinks"`
		WebCredentials credentials `json:"webcredentials"`
	}{links{[]detail{{apps, pathRules()}}}, credentials{apps}})
}

// androidApps answers Google's file. Android 15 keeps to the path rules; before
// it the app's manifest decides alone, which docs/mobile/android.md restricts.
func (a *api) androidApps(c echo.Context) error {
	const relation = "delegate_permission/common.handle_all_urls"
	type target struct {
		Namespace    string   `json:"namespace"`
		Package      string   `json:"package_name"`
		Fingerprints []string `json:"sha256_cert_fingerprints"`
	}
	type statement struct {
		Relation   []string       `json:"relation"`
		Target     target         `json:"target"`
		Extensions map[string]any `json:"relation_extensions"`
	}
	if len(a.AppLinks.Android) == 0 {
		return noApps()
	}
	rules := map[string]any{relation: map[string]any{"dynamic_app_link_components": append(pathRules(), pathRule{"*", true})}}
	out := make([]statement, 0, len(a.AppLinks.Android))
	for _, app := range a.AppLinks.Android {
		out = append(out, statement{[]string{relation}, target{"android_app", app.Package, app.Fingerprints}, rules})
	}
	return writeJSON(c, 200, out)
}

func noApps() error {
	return invite.Errorf(invite.CodeNotFound, "No app is configured to open this host's links.")
}
