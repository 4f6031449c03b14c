package config

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// AllowsReturn reports whether people may be sent on to u. An entry of ReturnURLs
// is either an https address, which covers itself and everything below its
// path ("https://app.example/connect" covers /connect and /connect/done, but
// not /connected), or a custom scheme, which covers everything it names
// ("acme://"). Hosts must be equal: a subdomain needs an entry of its own.
func (p Project) AllowsReturn(u *url.URL) bool {
	if u == nil || u.User != nil || u.Scheme == "" {
		return false
	}
	for _, entry := range p.ReturnURLs {
		allowed, err := url.Parse(entry)
		if err != nil || !strings.EqualFold(allowed.Scheme, u.Scheme) {
			continue
		}
		if !isWebScheme(allowed.Scheme) {
			return true
		}
		if strings.EqualFold(allowed.Host, u.Host) && u.Opaque == "" && isBelowPath(u, allowed) {
			return true
		}
	}
	return false
}

// IsAppScheme reports whether a lower-case scheme can belong to an app, as that of
// acme://back. Schemes that browsers handle themselves cannot.
func IsAppScheme(scheme string) bool {
	first := scheme != "" && scheme[0] >= 'a' && scheme[0] <= 'z'
	return first && !isWebScheme(scheme) && strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+.-") == "" &&
		!slices.Contains([]string{"javascript", "vbscript", "data", "file", "blob", "about", "ftp", "ws", "wss", "intent"}, scheme)
}

func isWebScheme(scheme string) bool {
	return strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http")
}

// isBelowPath compares decoded paths, and refuses one that a browser or server would
// resolve to somewhere else.
func isBelowPath(u, allowed *url.URL) bool {
	if strings.Contains(u.Path, `\`) || strings.Contains(u.Path, "//") {
		return false
	}
	if clean := path.Clean("/" + u.Path); clean != "/"+strings.Trim(u.Path, "/") {
		return false
	}
	prefix := strings.TrimSuffix(allowed.Path, "/")
	return u.Path == prefix || strings.HasPrefix(u.Path, prefix+"/")
}
