package config

import (
	"slices"
	"strings"
)

// HybridOrigins are the origins of pages inside hybrid apps: Capacitor on iOS and
// Android, and Ionic's older web view (capacitorjs.com/docs/config, server.iosScheme
// and server.androidScheme).
func HybridOrigins() []string {
	return []string{"capacitor://localhost", "ionic://localhost", "https://localhost"}
}

// AllowsOrigin reports whether pages of an origin may call /v1/client/.
func (p Project) AllowsOrigin(origin string) bool {
	origin = strings.ToLower(origin)
	return origin != "" && (slices.Contains(HybridOrigins(), origin) || slices.Contains(p.AppOrigins, origin))
}
