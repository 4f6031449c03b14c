package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/connectlink/connectlink/internal/secret"
)

// profile is a service and an API key for it.
type profile struct {
	URL string
	Key secret.Text
}

// storedProfile is a profile in the file, with its key in clear text.
type storedProfile struct {
	URL string `json:"url"`
	Key string `json:"api_key"`
}

// MarshalJSON implements json.Marshaler.
func (p profile) MarshalJSON() ([]byte, error) {
	return json.Marshal(storedProfile{p.URL, p.Key.Reveal()})
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *profile) UnmarshalJSON(raw []byte) error {
	var s storedProfile
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*p = profile{s.URL, secret.New(s.Key)}
	return nil
}

// mode of the profile's key: live or test.
func (p profile) mode() string {
	if isLiveKey(p.Key) {
		return "live"
	}
	return "test"
}

// profiles are the services that this user has logged in to.
type profiles struct {
	// Current is the profile that commands use unless they name another.
	Current string             `json:"current,omitempty"`
	Named   map[string]profile `json:"profiles"`
}

// names returns the names of the profiles, sorted.
func (p profiles) names() []string { return slices.Sorted(maps.Keys(p.Named)) }

// get returns the profile with a name.
func (p profiles) get(name string) (profile, error) {
	found, ok := p.Named[name]
	if !ok {
		return profile{}, usageError("there is no profile %q; `connectlink profiles list` lists those there are, `connectlink login --profile %s` creates it", printable(name), printable(name))
	}
	return found, nil
}

const defaultProfile = "default"

var profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func checkProfileName(name string) error {
	if !profileName.MatchString(name) {
		return usageError("--profile: %q is not a name; use up to 64 of a-z, 0-9, period, hyphen and underscore", printable(name))
	}
	return nil
}

// profileFile is the file that stores the profiles.
type profileFile struct{ path string }

// openProfiles returns the file of this user's configuration folder. It touches
// nothing.
func openProfiles() (profileFile, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return profileFile{}, fmt.Errorf("no folder for profiles (%w): set HOME, or use CONNECTLINK_API_URL and CONNECTLINK_API_KEY", err)
	}
	return profileFile{filepath.Join(dir, "connectlink", "profiles.json")}, nil
}

// load reads the profiles; none if there is no file. A file with keys that others
// can read is refused.
func (f profileFile) load() (profiles, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return profiles{}, nil
	}
	if err != nil {
		return profiles{}, fmt.Errorf("read the profiles: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat() // of the open file, so that it is the one that is read
	if err != nil {
		return profiles{}, fmt.Errorf("read the profiles: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return profiles{}, &exitError{exitAuth, fmt.Errorf("%s contains API keys and other users of this machine can read it (mode %04o): run chmod 600 %s, "+
			"and revoke its keys if they may have been read", f.path, mode, quoteWord(f.path))}
	}
	var p profiles
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		// The error may quote a part of the file, which has keys.
		return profiles{}, fmt.Errorf("%s is not a file of profiles: repair or remove it, and log in again", f.path)
	}
	return p, nil
}

// change applies an edit to the profiles. Two changes at once happen one after the
// other, and the file is replaced whole or not at all.
func (f profileFile) change(edit func(*profiles) error) error {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store the profiles: %w", err)
	}
	lock, err := os.OpenFile(f.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store the profiles: %w", err)
	}
	defer func() { _ = lock.Close() }() // which releases it
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	p, err := f.load()
	if err != nil {
		return err
	}
	if p.Named == nil {
		p.Named = map[string]profile{}
	}
	if err := edit(&p); err != nil {
		return err
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the profiles: %w", err)
	}
	// CreateTemp makes a file for its owner only.
	if err := (devState{dir}).write(filepath.Base(f.path), string(text), os.Rename); err != nil {
		return fmt.Errorf("store the profiles: %w", err)
	}
	return nil
}

type profilesCommand struct {
	List profilesListCommand `cmd:"" help:"List the profiles that login stored, without their keys."`
	Use  profilesUseCommand  `cmd:"" help:"Use a profile for commands that name none."`
}

type profilesListCommand struct{ format }

// Run lists profiles.
func (c *profilesListCommand) Run(e *env) error {
	file, err := openProfiles()
	if err != nil {
		return err
	}
	p, err := file.load()
	if err != nil {
		return err
	}
	if len(p.Named) == 0 {
		e.say("There are no profiles; `connectlink login` creates one.")
	}
	rows := make([]fields, 0, len(p.Named))
	for _, name := range p.names() {
		rows = append(rows, fields{"name": name, "mode": p.Named[name].mode(), "url": p.Named[name].URL, "current": name == p.Current})
	}
	raw, err := json.Marshal(fields{"object": "list", "data": rows})
	if err != nil {
		return fmt.Errorf("encode the profiles: %w", err)
	}
	return c.print(e, "", raw, []column{{"NAME", "name"}, {"MODE", "mode"}, {"URL", "url"}, {"CURRENT", "current"}})
}

type profilesUseCommand struct {
	Name string `arg:"" help:"The profile."`
}

// Run makes a profile the current one.
func (c *profilesUseCommand) Run(e *env) error {
	file, err := openProfiles()
	if err != nil {
		return err
	}
	var used profile
	err = file.change(func(p *profiles) error {
		var err error
		if used, err = p.get(c.Name); err != nil {
			return err
		}
		p.Current = c.Name
		return nil
	})
	if err != nil {
		return err
	}
	e.say("Commands now use the profile %s: %s mode at %s.", c.Name, used.mode(), used.URL)
	return nil
}

// completeProfiles returns the names of the profiles for completion; none if they
// cannot be read.
func completeProfiles() []string {
	file, err := openProfiles()
	if err != nil {
		return nil
	}
	p, err := file.load()
	if err != nil {
		return nil
	}
	return p.names()
}
