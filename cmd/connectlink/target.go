package main

import (
	"errors"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

// target is the service that a command asks, and the key it asks with.
type target struct {
	base    string // without a slash at the end
	key     secret.Text
	profile string // empty if the key comes from the environment
}

// target returns the service and the key. It is chosen once for a command: a change of
// the current profile must not move the rest of an import to another service.
func (r remote) target(e *env) (target, error) {
	if e.target != nil {
		return *e.target, nil
	}
	t, err := r.findTarget(e)
	if err != nil {
		return target{}, err
	}
	t.base = strings.TrimSuffix(t.base, "/")
	e.target = &t
	return t, nil
}

func (r remote) findTarget(e *env) (target, error) {
	address := r.URL
	if address == "" {
		address, _ = e.lookup("CONNECTLINK_API_URL")
	}
	if key, _ := e.lookup("CONNECTLINK_API_KEY"); key != "" {
		if r.Profile != "" {
			return target{}, usageError("--profile names a key, and CONNECTLINK_API_KEY is another: leave out the flag or unset the variable")
		}
		if address == "" {
			address = defaultAPI // a profile's service has a key of its own
		}
		return target{base: address, key: secret.New(key)}, nil
	}
	file, err := openProfiles()
	if err != nil {
		return target{}, err
	}
	stored, err := file.load()
	if err != nil {
		return target{}, err
	}
	name := chosenProfile(e, r.Profile)
	if name == "" {
		name = stored.Current
	}
	if name == "" {
		return target{}, &exitError{exitAuth, errors.New("no API key: `connectlink login` stores one, or put one into CONNECTLINK_API_KEY; " +
			"`connectlink keys create` makes one, `connectlink dev` shows its own")}
	}
	p, err := stored.get(name)
	if err != nil {
		return target{}, err
	}
	// Another service must not learn this one's key.
	if address != "" && strings.TrimSuffix(address, "/") != p.URL {
		return target{}, usageError("the profile %s is for %s, not for %s: set CONNECTLINK_API_KEY for that address, or log in to it with another --profile",
			name, p.URL, printable(address))
	}
	return target{base: p.URL, key: p.Key, profile: name}, nil
}

// chosenProfile returns the profile that the flag or the environment names; empty if
// neither does.
func chosenProfile(e *env, flag string) string {
	if flag != "" {
		return flag
	}
	name, _ := e.lookup("CONNECTLINK_PROFILE")
	return name
}
