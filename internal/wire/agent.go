package wire

import (
	"runtime/debug"
	"strings"
	"sync"
)

// UserAgent is what calls name themselves by: the program and its version, as
// the build recorded it.
func UserAgent() string { return userAgent() }

// Version is the program's, as the build recorded it.
func Version() string {
	_, version, _ := strings.Cut(userAgent(), "/")
	return version
}

// Each call of ReadBuildInfo parses the list of all modules.
var userAgent = sync.OnceValue(func() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return "connectlink/" + version
})
