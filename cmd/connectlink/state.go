package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// devState is the folder in which dev keeps what outlives a run: the database,
// its keyset, an API key, and where it serves.
type devState struct{ dir string }

// openState makes the folder, or the one of this user's cache when dir is empty.
func openState(dir string) (devState, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return devState{}, fmt.Errorf("no folder to keep state in (%w): name one with --state or CONNECTLINK_STATE_DIR", err)
		}
		dir = filepath.Join(cache, "connectlink", "dev")
	}
	s := devState{dir}
	// PostgreSQL refuses to run as root. Started by root it runs as another
	// user, who must be able to walk through here to its own folder.
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	err := os.MkdirAll(dir, mode)
	if err == nil {
		// A folder that exists may still be closed to us; better now than half-way.
		err = s.probe()
	}
	if err != nil {
		return devState{}, fmt.Errorf("cannot keep state in %s: %w; name another folder with --state or CONNECTLINK_STATE_DIR", dir, pathCause(err))
	}
	return s, nil
}

func (s devState) probe() error {
	f, err := os.CreateTemp(s.dir, ".probe-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// pathCause drops operation and path, which the message names already.
func pathCause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (s devState) file(name string) string { return filepath.Join(s.dir, name) }

// write puts a file in place whole or not at all, for its owner only. place is
// os.Rename, or os.Link to keep one that is there.
func (s devState) write(name, text string, place func(from, to string) error) error {
	f, err := os.CreateTemp(s.dir, "."+name+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), s.file(name))
}

// read returns a short text file without its final newline; ok is false when
// there is none.
func (s devState) read(name string) (text string, ok bool, err error) {
	b, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return strings.TrimSpace(string(b)), err == nil, err
}

// began reports whether there is a database of an earlier start: its data, or word
// of where they are.
func (s devState) began() bool {
	for _, name := range []string{"data", "location"} {
		if _, err := os.Stat(filepath.Join(s.file("postgres"), name)); err == nil {
			return true
		}
	}
	return false
}

// keyset reads the keyset, or makes it before there is anything to seal. Two
// first starts at once agree on one.
func (s devState) keyset() (secret.Text, error) {
	began := s.began() // read first: a process that starts at the same time keeps the keyset, then creates the database
	text, ok, err := s.read("keyset")
	if err != nil || ok {
		return secret.New(text), err
	}
	if began {
		return secret.Text{}, fmt.Errorf("%s is missing, and the database cannot be read without it: "+
			"restore it, or remove %s to start over", s.file("keyset"), s.dir)
	}
	k, err := seal.NewKeyset()
	if err != nil {
		return secret.Text{}, err
	}
	if err := s.write("keyset", k.Encode().Reveal(), os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return secret.Text{}, fmt.Errorf("keep the keyset: %w", err)
	}
	text, _, err = s.read("keyset")
	return secret.New(text), err
}

// keyFile is the file of the first project's API key.
const keyFile = "api_key"

// apiKey returns a project's key in the named file, or a new key if that one does not
// work, lacks a scope or is of another project: everything that the documents show
// works with dev's key.
func (s devState) apiKey(ctx context.Context, g *grant.Service, name, project string) (secret.Text, error) {
	text, ok, err := s.read(name)
	if err != nil {
		return secret.Text{}, fmt.Errorf("read the API key: %w", err)
	}
	if ok {
		p, err := g.Authenticate(ctx, secret.New(text), netip.Addr{})
		if err == nil && p.Project == project && len(p.Scopes) == len(access.Scopes()) {
			return secret.New(text), nil
		}
		if err != nil && invite.CodeOf(err) != invite.CodeInvalidAPIKey {
			return secret.Text{}, err
		}
	}
	key, _, err := g.Create(ctx, grant.NewKey{
		Place: invite.Place{Project: project}, Name: "dev", Environment: config.Development, Scopes: access.Scopes(),
	})
	if err != nil {
		return secret.Text{}, err
	}
	if err := s.write(name, key.Reveal(), os.Rename); err != nil {
		return secret.Text{}, fmt.Errorf("keep the API key: %w", err)
	}
	return key, nil
}

// place is the address of a running dev, for a second one that is started
// beside it.
type place struct {
	PID int    `json:"pid"`
	URL string `json:"url"`
}

func (s devState) setPlace(url string) error {
	b, err := json.Marshal(place{os.Getpid(), url})
	if err != nil {
		return err
	}
	return s.write("serving", string(b), os.Rename)
}

// placeOf is where process pid serves; false while it is still starting. A file
// that a killed process left names another.
func (s devState) placeOf(pid int) (url string, ok bool) {
	text, _, err := s.read("serving")
	var p place
	if err != nil || json.Unmarshal([]byte(text), &p) != nil || p.PID != pid {
		return "", false
	}
	return p.URL, true
}
