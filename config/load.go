package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/mail"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"

	"github.com/connectlink/connectlink/internal/secret"
)

// FileVariable names the configuration file where Sources does not.
const FileVariable = "CONNECTLINK_CONFIG"

// KeysetKMSVariable names the KMS key that the keyset is wrapped with.
const KeysetKMSVariable = "CONNECTLINK_KEYSET_KMS_URI"

// Sources are the inputs of Load. The zero value reads this process's
// environment, and the file that CONNECTLINK_CONFIG names.
type Sources struct {
	File     string                            // YAML; empty: FileVariable's, or none
	Env      func(string) (string, bool)       // os.LookupEnv unless set
	ReadFile func(name string) ([]byte, error) // os.ReadFile unless set
	// Mode reads the permissions of a file, for warnings about secrets that
	// other users of the machine can read; nil checks none.
	Mode func(name string) (fs.FileMode, error)
	// MayLack names the required variables a command can do without:
	// migrating needs no keyset.
	MayLack []string
	// Names are the names of all variables there are, for warnings about
	// misspelt ones; nil checks none.
	Names []string
	// CheckKeyset validates a keyset, whose format is unknown to this package, and
	// that it is wrapped as kmsURI says; nil skips the check.
	CheckKeyset func(t secret.Text, kmsURI string) error
}

// withDefaults fills in options that are unset.
func (src Sources) withDefaults() Sources {
	if src.Env == nil {
		src.Env = os.LookupEnv
	}
	if src.ReadFile == nil {
		src.ReadFile = os.ReadFile
	}
	if src.File == "" {
		src.File, _ = src.Env(FileVariable)
	}
	return src
}

// Load reads and validates the configuration. Its error is *Error, with every
// fault there is.
func Load(src Sources) (*Config, error) {
	src = src.withDefaults()
	l := &loader{src: src}
	c := l.load()
	if err := l.faults.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadKeysetKMS reads the URI of the KMS key alone, for a first keyset before the rest of
// the configuration is complete. Its error is *Error.
func LoadKeysetKMS(src Sources) (string, error) {
	src = src.withDefaults()
	l := &loader{src: src}
	doc, _ := l.document()
	var c Config
	applyOptions(l, &c, slices.DeleteFunc(processSettings(), func(o option[Config]) bool { return o.env != KeysetKMSVariable }), doc, "", true)
	return c.KeysetKMS, l.faults.err()
}

type loader struct {
	src     Sources
	faults  faults
	envOnly bool // the one project is composed from variables
	inline  bool // the file itself holds a secret
	notes   []string
}

// minPoolSize is what a pool needs so that a transaction and a look beside it
// never wait for each other.
const minPoolSize = 2

func (l *loader) load() *Config {
	c := &Config{}
	doc, projects := l.document()
	applyOptions(l, c, processSettings(), doc, "", true)
	if c.DatabaseDirectURL.IsZero() {
		c.DatabaseDirectURL = c.DatabaseURL
	}
	if !c.DatabaseReadURL.IsZero() && (c.DatabaseReadURL.Reveal() == c.DatabaseURL.Reveal() || c.DatabaseReadURL.Reveal() == c.DatabaseDirectURL.Reveal()) {
		l.faults.add("CONNECTLINK_DATABASE_READ_URL", "is the primary's URL: name a standby, or leave the setting out")
	}
	if c.DatabasePoolSize < minPoolSize {
		l.faults.add("CONNECTLINK_DATABASE_POOL_SIZE", "must be at least %d", minPoolSize)
	}
	if c.RenewEvery > 0 && c.LeaseFor > 0 && c.RenewEvery > c.LeaseFor/2 {
		l.faults.add("CONNECTLINK_LEASE_RENEW_EVERY", "must be at most half of the lease, so that one lost renewal loses nothing")
	}
	if l.src.CheckKeyset != nil && !c.Keyset.IsZero() {
		if err := l.src.CheckKeyset(c.Keyset, c.KeysetKMS); err != nil {
			l.faults.add("CONNECTLINK_KEYSET", "%v", err)
		}
	}
	l.finishConsole(c)
	l.projects(c, projects)
	c.notes = append(c.notes, l.notes...)
	c.notes = append(c.notes, l.misspelt()...)
	return c
}

// projects composes the list of projects from the file's, or one from the
// environment alone.
func (l *loader) projects(c *Config, raw []map[string]any) {
	if raw == nil {
		l.envOnly = true
		raw = []map[string]any{{"id": DefaultProject}}
	}
	fromEnv := 0 // which of them the environment applies to
	if len(raw) > 1 {
		fromEnv = slices.IndexFunc(raw, func(m map[string]any) bool { return m["id"] == DefaultProject })
		if fromEnv < 0 {
			if set := l.setVariables(); len(set) > 0 {
				c.notes = append(c.notes, fmt.Sprintf("%s: not used, because the file lists several projects and none is called %q", strings.Join(set, ", "), DefaultProject))
			}
		}
	}
	seen := map[string]bool{}
	for i, m := range raw {
		p := Project{}
		where := fmt.Sprintf("projects[%d].", i)
		applyOptions(l, &p, projectSettings(), m, where, i == fromEnv)
		l.finish(&p, where)
		if p.ID != "" && seen[p.ID] {
			l.faults.add(where+"id", "another project has the same id")
		}
		seen[p.ID] = true
		c.Projects = append(c.Projects, p)
	}
}

// finish checks combinations of a project's settings and derives missing
// ones.
func (l *loader) finish(p *Project, where string) {
	p.PrivateWebhooks = p.Webhook != nil && p.Webhook.AllowPrivate
	// A webhook without any setting is removed.
	if p.Webhook != nil && p.Webhook.URL == "" && p.Webhook.Secret.IsZero() {
		p.Webhook = nil
	}
	if a, err := mail.ParseAddress(p.SendGrid.From); err == nil {
		p.SendGrid.From = a.Address
		if p.SendGrid.FromName == "" {
			p.SendGrid.FromName = a.Name
		}
	}
	if p.Brand.Name == "" {
		p.Brand.Name = p.SendGrid.FromName
	}
	if p.Brand.Name == "" {
		p.Brand.Name = unnamedBrand
	}
	if p.SendGrid.FromName == "" {
		p.SendGrid.FromName = p.Brand.Name
	}
	together := func(name string, set bool, other string, otherSet bool) {
		if set && !otherSet {
			l.faults.add(l.name(where, other), "is needed together with %s", l.name(where, name))
		}
		if otherSet && !set {
			l.faults.add(l.name(where, name), "is needed together with %s", l.name(where, other))
		}
	}
	if p.Webhook != nil {
		together("webhook.url", p.Webhook.URL != "", "webhook.secret", !p.Webhook.Secret.IsZero())
	}
	together("pipedream.client_id", p.Pipedream.ClientID != "", "pipedream.client_secret", !p.Pipedream.ClientSecret.IsZero())
	if p.Pipedream.ClientID != "" && p.Pipedream.ProjectID == "" {
		l.faults.add(l.name(where, "pipedream.project_id"), "is needed together with %s", l.name(where, "pipedream.client_id"))
	}
	if !p.SendGrid.APIKey.IsZero() && p.SendGrid.From == "" {
		l.faults.add(l.name(where, "sendgrid.from"), "is needed together with %s", l.name(where, "sendgrid.api_key"))
	}
	t := p.Twilio
	together("twilio.api_key", t.APIKey != "", "twilio.api_secret", !t.APISecret.IsZero())
	anything := t.APIKey != "" || !t.AuthToken.IsZero() || t.MessagingServiceSID != "" || t.From != ""
	if anything && t.AccountSID == "" {
		l.faults.add(l.name(where, "twilio.account_sid"), "is needed to use Twilio")
	}
	if t.AccountSID != "" && t.AuthToken.IsZero() && t.APIKey == "" && t.APISecret.IsZero() {
		l.faults.add(l.name(where, "twilio.auth_token"), "or %s is needed together with %s", l.name(where, "twilio.api_key"), l.name(where, "twilio.account_sid"))
	}
	if t.AccountSID != "" && t.MessagingServiceSID == "" && t.From == "" {
		l.faults.add(l.name(where, "twilio.messaging_service_sid"), "or %s is needed together with %s", l.name(where, "twilio.from"), l.name(where, "twilio.account_sid"))
	}
	l.checkLimits(where, *p)
	for _, a := range p.Accounts() {
		if a.check != nil {
			a.check(func(key, format string, args ...any) { l.faults.add(l.name(where, key), format, args...) },
				func(key string) string { return l.name(where, key) })
		}
	}
}

// name returns a project's setting as a person writes it: the variable if
// variables define the project, otherwise the key.
func (l *loader) name(where, key string) string {
	if l.envOnly {
		for _, o := range projectSettings() {
			if o.key == key {
				return o.env
			}
		}
	}
	return where + key
}

// applyOptions fills t from the defaults, the file's part and the environment.
func applyOptions[T any](l *loader, t *T, options []option[T], part map[string]any, where string, useEnv bool) {
	origin := map[string]string{} // key → how the person wrote it
	k := koanf.New(".")
	load := func(values map[string]any) {
		// A map provider cannot fail; koanf's own errors are about merging
		// what two sources type differently, which this allows.
		_ = k.Load(memory(values), nil)
	}
	for _, o := range options {
		if o.def != "" {
			load(nestKey(o.key, o.def))
		}
		if v, ok := fromFile(l, o, part, where); ok {
			load(nestKey(o.key, v))
			origin[o.key] = where + o.key
		}
		if v, name, ok := fromEnv(l, o, useEnv); ok {
			load(nestKey(o.key, v))
			origin[o.key] = name
		}
	}
	for _, o := range options {
		values, err := toStrings(k.Get(o.key), o.list, o.typed)
		name := origin[o.key]
		if name == "" {
			name = where + o.key
			if o.env != "" {
				name = o.env
			}
		}
		switch {
		case err != nil:
			l.faults.add(name, "%v", err)
		case len(values) == 0 && o.required && !slices.Contains(l.src.MayLack, o.env):
			l.faults.add(name, "is needed. %s", o.help)
		case len(values) > 0:
			if err := o.set(t, values); err != nil {
				l.faults.add(name, "%v", err)
			}
		}
	}
}

// fromEnv looks the option up among the variables, its secret also in the file
// that NAME_FILE points to.
func fromEnv[T any](l *loader, o option[T], useEnv bool) (value, name string, ok bool) {
	if !useEnv || o.env == "" {
		return "", "", false
	}
	for _, name := range append([]string{o.env}, o.aliases...) {
		v, _ := l.src.Env(name)
		if !o.secret {
			if v != "" {
				return v, name, true
			}
			continue
		}
		path, _ := l.src.Env(name + "_FILE")
		switch {
		case v != "" && path != "":
			l.faults.add(name, "is set, and so is %s_FILE; unset one of them", name)
			return v, name, true
		case v != "":
			return v, name, true
		case path != "":
			v, ok := l.readSecret(name+"_FILE", path)
			return v, name + "_FILE", ok
		}
	}
	return "", "", false
}

// fromFile looks the option up in a part of the YAML document, its secret also
// in the file that key_file points to.
func fromFile[T any](l *loader, o option[T], part map[string]any, where string) (any, bool) {
	v := lookupPath(part, o.key)
	if !o.secret {
		return v, v != nil
	}
	path := lookupPath(part, o.key+"_file")
	switch {
	case path == nil:
		if v != nil && !l.inline {
			l.inline = true // said once, of the whole file
			l.open("the configuration file, which holds secrets", l.src.File)
		}
		return v, v != nil
	case v != nil:
		l.faults.add(where+o.key, "is set, and so is %s_file; remove one of them", o.key)
		return v, true
	}
	name, ok := path.(string)
	if !ok {
		l.faults.add(where+o.key+"_file", "want the name of a file")
		return nil, false
	}
	return l.readSecretAny(where+o.key+"_file", name)
}

func (l *loader) readSecretAny(name, path string) (any, bool) {
	v, ok := l.readSecret(name, path)
	return v, ok
}

// readSecret reads a mounted secret. Editors and `echo` leave a final line
// break, which belongs to no secret.
func (l *loader) readSecret(name, path string) (string, bool) {
	b, err := l.src.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.faults.add(name, "there is no such file")
		return "", false
	case errors.Is(err, fs.ErrPermission):
		l.faults.add(name, "this process may not read the file")
		return "", false
	case err != nil:
		l.faults.add(name, "the file cannot be read")
		return "", false
	}
	v := strings.TrimSpace(string(b))
	if v == "" {
		l.faults.add(name, "the file is empty")
		return "", false
	}
	l.open(name, path)
	return v, true
}

// open notes that a file of secrets can be read by every user of the machine.
func (l *loader) open(name, path string) {
	if l.src.Mode == nil {
		return
	}
	mode, err := l.src.Mode(path)
	if err == nil && mode.Perm()&0o004 != 0 {
		l.notes = append(l.notes, fmt.Sprintf("%s: the file can be read by every user of this machine (mode %04o): chmod o= takes that away", name, mode.Perm()))
	}
}

// setVariables lists the variables of a project that are set.
func (l *loader) setVariables() []string {
	var set []string
	for _, o := range projectSettings() {
		if o.env == "" {
			continue
		}
		for _, name := range []string{o.env, o.env + "_FILE"} {
			if v, _ := l.src.Env(name); v != "" {
				set = append(set, name)
			}
		}
	}
	return set
}
