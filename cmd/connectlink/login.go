package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/term"

	"github.com/connectlink/connectlink/internal/secret"
)

// maxKeyInput bounds what login reads of standard input, in bytes.
const maxKeyInput = 4096

type loginCommand struct {
	URL     string `help:"The service's address; the profile's, $$CONNECTLINK_API_URL, or http://127.0.0.1:8080 unless given." placeholder:"URL"`
	Profile string `help:"Name of the profile; CONNECTLINK_PROFILE unless given, else default." placeholder:"NAME"`
}

// Help is shown by login --help.
func (loginCommand) Help() string {
	return "Asks for an API key without showing it, or reads it from standard input: connectlink login <keyfile. " +
		"The key is tried at the service, and stored in your configuration folder for you only.\n\n" +
		"CONNECTLINK_API_KEY takes precedence over profiles."
}

// Run asks for a key, tries it and stores it.
func (c *loginCommand) Run(e *env) error {
	file, err := openProfiles()
	if err != nil {
		return err
	}
	stored, err := file.load() // before the key is typed for nothing
	if err != nil {
		return err
	}
	name := chosenProfile(e, c.Profile)
	if name == "" {
		name = defaultProfile
	}
	if err := checkProfileName(name); err != nil {
		return err
	}
	base, err := c.address(e, stored.Named[name].URL)
	if err != nil {
		return err
	}
	key, err := askKey(e, base)
	if err != nil {
		return err
	}
	if err := tryKey(e, base, key); err != nil {
		return err
	}
	logged := profile{URL: base, Key: key}
	err = file.change(func(p *profiles) error {
		p.Named[name] = logged
		p.Current = name
		return nil
	})
	if err != nil {
		return err
	}
	e.say("Logged in to %s in %s mode. Commands use the profile %s; the key is in %s.", base, logged.mode(), name, file.path)
	if set, _ := e.lookup("CONNECTLINK_API_KEY"); set != "" {
		e.say("CONNECTLINK_API_KEY is set and takes precedence over the profile: unset it to use the profile.")
	}
	return nil
}

// address returns the address of the service, without a slash at the end.
func (c *loginCommand) address(e *env, stored string) (string, error) {
	base := c.URL
	for _, other := range []func() string{
		func() string { v, _ := e.lookup("CONNECTLINK_API_URL"); return v },
		func() string { return stored },
		func() string { return defaultAPI },
	} {
		if base == "" {
			base = other()
		}
	}
	base = strings.TrimRight(base, "/")
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", usageError("--url: want an address such as https://connect.acme.example")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		e.say("warning: http:// sends the key unencrypted over the network; use https://")
	}
	return base, nil
}

// askKey asks for a key on a terminal, without echo; otherwise it reads one line.
func askKey(e *env, base string) (secret.Text, error) {
	text, err := "", error(nil)
	if fd := int(e.stdin.Fd()); term.IsTerminal(fd) {
		text, err = readHidden(e.ctx, e, fd, "API key for "+base+": ")
	} else {
		var raw []byte
		raw, err = io.ReadAll(io.LimitReader(e.stdin, maxKeyInput))
		text = string(raw)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("read the key: %w", err)
	}
	key := strings.TrimSpace(text)
	if !strings.HasPrefix(key, "cl_test_") && !strings.HasPrefix(key, "cl_live_") || strings.ContainsAny(key, " \t\r\n") {
		return secret.Text{}, usageError("an API key begins with cl_test_ or cl_live_ and has no white space; `connectlink keys create` makes one")
	}
	return secret.New(key), nil
}

// tryKey asks the service for something small. A key that may not read invites is a
// key all the same.
func tryKey(e *env, base string, key secret.Text) error {
	got, err := askService(e, http.MethodGet, base+"/v1/invites?limit=1", key, nil, "")
	if err != nil {
		return err
	}
	if got.status > 299 && readProblem(got.body).Code != "insufficient_scope" {
		return problemError(base, got.status, got.body)
	}
	if got.status <= 299 {
		var list struct{ Object string }
		if err := decodeAnswer(base, got.body, &list); err != nil {
			return err
		}
		if list.Object != "list" {
			return notThisService(base)
		}
	}
	return nil
}

type logoutCommand struct {
	Profile string `help:"Name of the profile; CONNECTLINK_PROFILE or the current one unless given." placeholder:"NAME"`
}

// Run forgets a profile. Its key stays valid.
func (c *logoutCommand) Run(e *env) error {
	file, err := openProfiles()
	if err != nil {
		return err
	}
	name := chosenProfile(e, c.Profile)
	err = file.change(func(p *profiles) error {
		if name == "" {
			name = p.Current
		}
		if name == "" {
			return &exitError{exitNotFound, errors.New("no profile is in use; name one with --profile")}
		}
		if _, err := p.get(name); err != nil {
			return err
		}
		delete(p.Named, name)
		if p.Current == name {
			p.Current = ""
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.say("The profile %s is removed. Its key stays valid: `connectlink keys revoke` ends it.", name)
	return nil
}
