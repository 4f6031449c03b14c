package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

type staffCommand struct {
	Create   staffCreateCommand   `cmd:"" help:"Create an emergency account for the console. Prompts for the password, or reads it from standard input."`
	Password staffPasswordCommand `cmd:"" help:"Set a new password for an emergency account and end its sessions."`
	Factor   staffFactorCommand   `cmd:"" name:"reset" help:"Remove the second factor of an emergency account and end its sessions. The next sign-in sets up another."`
	Roles    staffRolesCommand    `cmd:"" help:"Replace the roles of an emergency account."`
	List     staffListCommand     `cmd:"" help:"List the console's accounts."`
	Disable  staffDisableCommand  `cmd:"" help:"Disable an account and end its sessions."`
	Enable   staffEnableCommand   `cmd:"" help:"Enable a disabled account."`
}

// staff opens what accounts need: profiles are sealed, so the keyset too.
func (s settings) staff(e *env) (*config.Config, *pgxpool.Pool, *grant.Staff, error) {
	cfg, err := s.loadUnlocked(e)
	if err != nil {
		return nil, nil, nil, err
	}
	keyset, err := seal.ParseKeyset(cfg.Keyset)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read the keyset: %w", err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		return nil, nil, nil, err
	}
	pool, err := openPool(e.ctx, cfg, "connectlink staff")
	if err != nil {
		return nil, nil, nil, err
	}
	return cfg, pool, grant.NewStaff(pool, box), nil
}

// operatorPrincipal is a person with a shell where the service runs.
func operatorPrincipal() access.Principal { return access.Principal{Kind: access.KindSystem} }

type staffCreateCommand struct {
	settings
	Email string   `arg:"" help:"The address to sign in with."`
	Name  string   `help:"The person's name." required:""`
	Role  []string `help:"Role in every project (viewer, agent, lead or admin), or project=role. Can be repeated." required:"" placeholder:"[PROJECT=]ROLE"`
}

// Run makes an account.
func (c *staffCreateCommand) Run(e *env) error {
	if a, err := mail.ParseAddress(c.Email); err != nil || a.Address != c.Email || len(c.Email) > 254 {
		return usageError("the address: want a bare email address, as pat@acme.example")
	}
	if name := strings.TrimSpace(c.Name); name == "" || len(name) > 200 {
		return usageError("--name: want 1 to 200 characters")
	}
	cfg, pool, staff, err := c.staff(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	roles, err := rolesOf(cfg, c.Role)
	if err != nil {
		return err
	}
	password, err := askPassword(e)
	if err != nil {
		return err
	}
	id, err := staff.Create(e.ctx, operatorPrincipal(), grant.NewAccount{Login: secret.New(c.Email), Name: strings.TrimSpace(c.Name), Password: password, Roles: roles})
	switch {
	case errors.Is(err, grant.ErrPasswordLength), errors.Is(err, grant.ErrPasswordCommon):
		return usageError("%w", err)
	case errors.Is(err, grant.ErrLoginTaken):
		return usageError("%w; `connectlink staff password` gives it another password", err)
	case err != nil:
		return err
	}
	if !cfg.Console.AcceptsPasswords() {
		e.say("note: " + cfg.Console.SignIn() + ".")
	}
	_, err = fmt.Fprintf(e.stdout, "%s may sign in to the console.\n", id)
	return err
}

// rolesOf reads roles, and says every fault of them.
func rolesOf(cfg *config.Config, words []string) (map[string]access.Role, error) {
	out := map[string]access.Role{}
	var faults []string
	for _, w := range words {
		project, role, ok := strings.Cut(w, "=")
		if !ok {
			project, role = account.EveryProject, w
		}
		if !slices.Contains(access.Roles(), access.Role(role)) {
			faults = append(faults, fmt.Sprintf("%q is no role; there are viewer, agent, lead and admin", role))
		}
		if _, known := cfg.Project(project); !known && project != account.EveryProject {
			faults = append(faults, fmt.Sprintf("no project %q is configured", project))
		}
		out[project] = access.Role(role)
	}
	if len(faults) > 0 {
		return nil, usageError("--role: %s", strings.Join(faults, "; "))
	}
	return out, nil
}

// askPassword asks twice on a terminal, without echo; otherwise it reads one
// line.
func askPassword(e *env) (secret.Text, error) {
	fd := int(e.stdin.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReader(io.LimitReader(e.stdin, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return secret.Text{}, fmt.Errorf("read the password: %w", err)
		}
		return secret.New(strings.TrimRight(line, "\r\n")), nil
	}
	first, err := readHidden(e.ctx, e, fd, fmt.Sprintf("Password (%d characters or more): ", grant.MinPassword))
	if err != nil {
		return secret.Text{}, err
	}
	again, err := readHidden(e.ctx, e, fd, "Once more: ")
	if err != nil {
		return secret.Text{}, err
	}
	if first != again {
		return secret.Text{}, usageError("the two passwords differ")
	}
	return secret.New(first), nil
}

// readHidden reads a line without showing it. Echo is off before the prompt appears:
// what is pasted as soon as it does would be shown otherwise. Ctrl-C gives the terminal
// back as it was.
func readHidden(ctx context.Context, e *env, fd int, prompt string) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	if err := hideInput(fd); err != nil {
		return "", fmt.Errorf("turn the terminal's echo off: %w", err)
	}
	_, _ = fmt.Fprint(e.stderr, prompt)
	type result struct {
		text []byte
		err  error
	}
	answer := make(chan result, 1)
	go func() { // a read from a terminal cannot be interrupted
		b, err := term.ReadPassword(fd)
		answer <- result{b, err}
	}()
	var r result
	select {
	case r = <-answer:
	case <-ctx.Done():
		r.err = ctx.Err()
	}
	err = errors.Join(r.err, term.Restore(fd, before))
	e.say("")
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	return string(r.text), nil
}

// hideInput turns a terminal's echo off.
func hideInput(fd int) error {
	settings, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	settings.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, setTermios, settings)
}

type staffPasswordCommand struct {
	settings
	Email string `arg:"" help:"The address the account signs in with."`
}

// Run replaces a password.
func (c *staffPasswordCommand) Run(e *env) error {
	_, pool, staff, err := c.staff(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	password, err := askPassword(e)
	if err != nil {
		return err
	}
	found, err := staff.SetPassword(e.ctx, operatorPrincipal(), secret.New(c.Email), password)
	switch {
	case errors.Is(err, grant.ErrPasswordLength), errors.Is(err, grant.ErrPasswordCommon):
		return usageError("%w", err)
	case err != nil:
		return err
	case !found:
		return &exitError{exitNotFound, errors.New("no emergency account has this address")}
	}
	_, err = fmt.Fprintln(e.stdout, "The password is set, and the account's sessions are ended.")
	return err
}

type staffFactorCommand struct {
	settings
	Email string `arg:"" help:"The address the account signs in with."`
}

// Run removes a second factor.
func (c *staffFactorCommand) Run(e *env) error {
	_, pool, staff, err := c.staff(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	found, had, err := staff.ResetFactor(e.ctx, operatorPrincipal(), secret.New(c.Email))
	switch {
	case err != nil:
		return err
	case !found:
		return &exitError{exitNotFound, errors.New("no emergency account has this address")}
	case !had:
		_, err = fmt.Fprintln(e.stdout, "The account has no second factor: its next sign-in sets one up.")
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "The second factor and its recovery codes are removed, and the account's sessions are ended. The next sign-in sets up another.")
	return err
}

type staffRolesCommand struct {
	settings
	ID   string   `arg:"" help:"The account's id, stf_…."`
	Role []string `help:"Role in every project (viewer, agent, lead or admin), or project=role. Can be repeated; at least one is required. To remove all roles, disable the account." required:"" placeholder:"[PROJECT=]ROLE"`
}

// Run replaces an account's roles.
func (c *staffRolesCommand) Run(e *env) error {
	id, err := staffID(c.ID)
	if err != nil {
		return err
	}
	cfg, pool, staff, err := c.staff(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	roles, err := rolesOf(cfg, c.Role)
	if err != nil {
		return err
	}
	switch err := staff.SetRoles(e.ctx, operatorPrincipal(), id, roles); {
	case errors.Is(err, account.ErrNotFound):
		return &exitError{exitNotFound, err}
	case errors.Is(err, grant.ErrNotLocal):
		return usageError("%w", err)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s may do what its roles allow from its next request on.\n", id)
	return err
}

type staffListCommand struct{ settings }

// Run lists accounts.
func (c *staffListCommand) Run(e *env) error {
	_, pool, staff, err := c.staff(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	list, err := staff.List(e.ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tSIGNS IN BY\tSECOND FACTOR\tROLES\tLAST SIGN-IN\tSTATE\tEMAIL\tNAME")
	for _, k := range list {
		last, state := "never", "enabled"
		if k.SignedInAt != nil {
			last = k.SignedInAt.UTC().Format(time.RFC3339)
		}
		if k.DisabledAt != nil {
			state = "disabled"
		}
		var roles []string
		for project, r := range k.Roles {
			roles = append(roles, project+"="+string(r))
		}
		slices.Sort(roles)
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Kind, factorState(k.Staff), strings.Join(roles, ","), last, state, k.Person.Email, k.Person.Name)
	}
	return w.Flush()
}

// factorState tells since when an emergency account has a second factor; other accounts
// have theirs elsewhere.
func factorState(a account.Staff) string {
	switch {
	case a.Kind != account.ByPassword:
		return "-"
	case a.FactorSetAt == nil:
		return "none yet"
	}
	return "since " + a.FactorSetAt.UTC().Format(time.RFC3339)
}

type staffDisableCommand struct {
	settings
	ID string `arg:"" help:"The account's id, stf_…."`
}

// Run ends an account.
func (c *staffDisableCommand) Run(e *env) error { return setStaff(e, c.settings, c.ID, true) }

type staffEnableCommand struct {
	settings
	ID string `arg:"" help:"The account's id, stf_…."`
}

// Run brings an account back.
func (c *staffEnableCommand) Run(e *env) error { return setStaff(e, c.settings, c.ID, false) }

func staffID(text string) (invite.StaffID, error) {
	id, err := invite.Parse[invite.StaffID](text)
	if err != nil {
		return id, usageError("that is not the id of an account: it begins with stf_; `connectlink staff list` shows it")
	}
	return id, nil
}

func setStaff(e *env, s settings, text string, disabled bool) error {
	id, err := staffID(text)
	if err != nil {
		return err
	}
	_, pool, staff, err := s.staff(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	changed, err := staff.SetDisabled(e.ctx, operatorPrincipal(), id, disabled)
	if errors.Is(err, account.ErrNotFound) {
		return &exitError{exitNotFound, err}
	}
	if err != nil {
		return err
	}
	word := "is enabled"
	if disabled {
		word = "is disabled"
	}
	if !changed {
		word = strings.Replace(word, "is", "was", 1) + " before"
	}
	_, err = fmt.Fprintf(e.stdout, "%s %s.\n", id, word)
	return err
}
