package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

// Option describes one setting, for documentation.
type Option struct {
	Env      string // empty where only YAML can say it
	YAML     string // "projects[].…" for a project's
	Default  string
	Help     string
	Secret   bool // also as Env_FILE and YAML_file
	Required bool
}

// Describe lists every setting, in the order in which they are documented.
func Describe() []Option {
	var out []Option
	for _, o := range processSettings() {
		out = append(out, Option{Env: o.env, YAML: o.key, Default: o.def, Help: o.help, Secret: o.secret, Required: o.required})
	}
	for _, o := range projectSettings() {
		// The environment composes the project "default" without its id.
		out = append(out, Option{Env: o.env, YAML: "projects[]." + o.key, Default: o.def, Help: o.help, Secret: o.secret, Required: o.required})
	}
	return out
}

// Summary shows the configuration, one setting a line, without secrets: of
// those it says only that they are set, and of the database where it is.
func (c *Config) Summary() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", name, value)
		}
	}
	for _, o := range processSettings() {
		value := o.show(c)
		switch o.key {
		case "database.url":
			value = databasePlace(c.DatabaseURL)
		case "database.direct_url":
			value = databasePlace(c.DatabaseDirectURL)
		case "database.read_url":
			value = databasePlace(c.DatabaseReadURL)
		}
		line(o.key, value)
	}
	for i := range c.Projects {
		p := c.Projects[i]
		if p.Webhook == nil {
			p.Webhook = &Webhook{} // only for show to look at
		}
		for _, o := range projectSettings() {
			value := o.show(&p)
			switch o.key {
			case "development_recipients":
				if n := len(p.DevelopmentRecipients); n > 0 {
					value = fmt.Sprintf("%d of them", n) // people's addresses
				}
			case "webhook.url":
				value = hostOnly(value)
			}
			line("projects["+p.ID+"]."+o.key, value)
		}
	}
	return b.String()
}

// databasePlace returns the host and name of a database, without credentials.
func databasePlace(t secret.Text) string {
	if t.IsZero() {
		return ""
	}
	u, err := url.Parse(t.Reveal())
	if err != nil || u.Host == "" || strings.Contains(u.Host, "@") {
		return secret.Redacted
	}
	return u.Scheme + "://" + secret.Redacted + "@" + u.Host + u.EscapedPath()
}

// hostOnly leaves out path and query, where products like to keep a token.
func hostOnly(s string) string {
	u, err := url.Parse(s)
	if s == "" || err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// otherVariables are variables of this service that are no settings: they belong to
// commands and to development.
func otherVariables() []string {
	return []string{FileVariable, "CONNECTLINK_STATE_DIR", "CONNECTLINK_DEV_POSTGRES", "CONNECTLINK_DEV_POSTGRES_BIN", "CONNECTLINK_API_KEY", "CONNECTLINK_API_URL", "CONNECTLINK_PROFILE", "CONNECTLINK_TEST_DATABASE_URL"}
}

// misspelt looks for variables that begin like ours and are none of ours.
func (l *loader) misspelt() []string {
	known := otherVariables()
	for _, o := range Describe() {
		if o.Env == "" {
			continue
		}
		known = append(known, o.Env)
		if o.Secret {
			known = append(known, o.Env+"_FILE")
		}
	}
	var notes []string
	for _, name := range l.src.Names {
		name, _, _ = strings.Cut(name, "=")
		if !strings.HasPrefix(name, "CONNECTLINK_") || slices.Contains(known, name) {
			continue
		}
		note := name + ": there is no such variable"
		if near, ok := nearestName(name, known); ok {
			note += "; did you mean " + near + "?"
		}
		notes = append(notes, note)
	}
	slices.Sort(notes)
	return notes
}
