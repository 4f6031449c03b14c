package wire

import (
	"runtime/debug"
	"strings"
)

// UserAgent is what calls name themselves by: the program and its version, as
// the build recorded it.
func UserAgent() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return "connectlink/" + version
}
