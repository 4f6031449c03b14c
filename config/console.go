package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

// Values of console.passwords.
const (
	PasswordsAuto = "auto"
	PasswordsOn   = "true"
	PasswordsOff  = "false"
)

// Console is how staff sign in.
type Console struct {
	Passwords string // PasswordsAuto, PasswordsOn or PasswordsOff
	OIDC      OIDC
}

// AcceptsPasswords reports whether emergency accounts may sign in. With an
// issuer they may only if the configuration asks for it.
func (c Console) AcceptsPasswords() bool {
	return c.Passwords == PasswordsOn || c.Passwords == PasswordsAuto && !c.OIDC.Configured()
}

// SignIn describes in one line how staff sign in, and which setting decides it.
func (c Console) SignIn() string {
	switch {
	case c.OIDC.Configured() && c.AcceptsPasswords():
		return "staff sign in by single sign-on, and by emergency accounts: CONNECTLINK_CONSOLE_PASSWORDS is true"
	case c.OIDC.Configured() && c.Passwords == PasswordsOff:
		return "staff sign in by single sign-on only: CONNECTLINK_CONSOLE_PASSWORDS is false"
	case c.OIDC.Configured():
		return "staff sign in by single sign-on only: emergency accounts are off while an issuer is configured, unless CONNECTLINK_CONSOLE_PASSWORDS is true"
	case c.AcceptsPasswords():
		return "staff sign in by emergency accounts only: no issuer is configured (CONNECTLINK_OIDC_ISSUER)"
	}
	return "no member of staff can sign in: CONNECTLINK_CONSOLE_PASSWORDS is false, and no issuer is configured (CONNECTLINK_OIDC_ISSUER)"
}

// OIDC is the issuer that staff sign in with.
type OIDC struct {
	Issuer       string
	ClientID     string
	ClientSecret secret.Text
	Scopes       []string
	RolesClaim   string
	Roles        []string // "group:role" or "group:project=role"
}

// Configured reports whether there is an issuer.
func (o OIDC) Configured() bool { return o.Issuer != "" }

// Grants are the roles that groups come to, as "role" or "project=role".
func (o OIDC) Grants() map[string][]string {
	out := map[string][]string{}
	for _, entry := range o.Roles {
		i := strings.LastIndexByte(entry, ':') // groups may hold colons themselves
		out[entry[:i]] = append(out[entry[:i]], entry[i+1:])
	}
	return out
}

func consoleSettings() []option[Config] {
	return []option[Config]{
		passwordsSetting(),
		textSetting("console.oidc.issuer", "CONNECTLINK_OIDC_ISSUER", "",
			"The OpenID Connect issuer that staff sign in with, as https://login.acme.example. Its redirect address is {public_url}/console/sign-in/callback.",
			func(c *Config) *string { return &c.Console.OIDC.Issuer }, checkEndpoint),
		textSetting("console.oidc.client_id", "CONNECTLINK_OIDC_CLIENT_ID", "", "The client's id there.",
			func(c *Config) *string { return &c.Console.OIDC.ClientID }, shortenText(300)),
		secretSetting("console.oidc.client_secret", "CONNECTLINK_OIDC_CLIENT_SECRET", "The client's secret; a public client has none.",
			func(c *Config) *secret.Text { return &c.Console.OIDC.ClientSecret }, nil),
		listSetting("console.oidc.scopes", "CONNECTLINK_OIDC_SCOPES", "profile, email", "What is asked for beside openid.",
			func(c *Config) *[]string { return &c.Console.OIDC.Scopes }, shortenText(100)),
		textSetting("console.oidc.roles_claim", "CONNECTLINK_OIDC_ROLES_CLAIM", "roles",
			"The claim that lists a person's groups or roles; dots lead into objects.",
			func(c *Config) *string { return &c.Console.OIDC.RolesClaim }, shortenText(200)),
		listSetting("console.oidc.roles", "CONNECTLINK_OIDC_ROLES", "",
			"What groups may do, as support:agent or acme-leads:acme=lead (viewer, agent, lead, admin; with project= in one project, else in all). Unset, the claim's own words are taken for roles. Whoever has none is refused.",
			func(c *Config) *[]string { return &c.Console.OIDC.Roles }, checkRoleMapping),
	}
}

func passwordsSetting() option[Config] {
	o := textSetting("console.passwords", "CONNECTLINK_CONSOLE_PASSWORDS", PasswordsAuto,
		"Whether emergency accounts (`connectlink staff create`) may sign in to the console: true, false, or auto, which is true unless an OpenID Connect issuer is configured.",
		func(c *Config) *string { return &c.Console.Passwords }, checkPasswords)
	o.typed = true // YAML writes true and false as booleans
	return o
}

func checkPasswords(s string) (string, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return PasswordsOn, nil
	case "false", "no", "off", "0":
		return PasswordsOff, nil
	case PasswordsAuto:
		return PasswordsAuto, nil
	}
	return "", errors.New("want auto, true or false")
}

func checkRoleMapping(s string) (string, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 1 {
		return "", errors.New("want group:role or group:project=role")
	}
	role := s[i+1:]
	if project, r, ok := strings.Cut(role, "="); ok {
		if _, err := checkProjectID(project); err != nil {
			return "", errors.New("want a project's id between : and =")
		}
		role = r
	}
	if !slices.Contains([]string{"viewer", "agent", "lead", "admin"}, role) {
		return "", errors.New("want viewer, agent, lead or admin at the end")
	}
	return s, nil
}

// finishConsole checks what concerns several of its settings.
func (l *loader) finishConsole(c *Config) {
	o := c.Console.OIDC
	switch {
	case !o.Configured() && (o.ClientID != "" || !o.ClientSecret.IsZero()):
		l.faults.add("CONNECTLINK_OIDC_ISSUER", "is needed together with CONNECTLINK_OIDC_CLIENT_ID")
	case !o.Configured():
		return
	case o.ClientID == "":
		l.faults.add("CONNECTLINK_OIDC_CLIENT_ID", "is needed together with CONNECTLINK_OIDC_ISSUER")
	}
	if o.Configured() && c.PublicURL == nil {
		l.faults.add("CONNECTLINK_PUBLIC_URL", "is needed with CONNECTLINK_OIDC_ISSUER: the issuer sends people back there")
	}
}
