// Package servertest finds the real servers that tests run the product behind:
// poolers, proxies, mail servers. A laptop without one skips the test and says so;
// CI fails, because there the machine stage installs them.
package servertest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Need returns the path of a program, looking in PATH and where Debian keeps
// servers. Without it the test is skipped, or fails where CI is set.
func Need(t testing.TB, program, debianPackage string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin/", "/usr/local/sbin/"} {
		if info, err := os.Stat(dir + program); err == nil && info.Mode()&0o111 != 0 {
			return dir + program
		}
	}
	missing := fmt.Sprintf("%s is not installed (Debian's package %s)", program, debianPackage)
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing + ": the product is not tried behind it")
	return ""
}
