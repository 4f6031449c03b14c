package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CallbacksReachable reports whether callback URLs may be sent to the vendor
// behind vendorBaseURL: the public URL is https on a public host without an
// underscore (Twilio refuses those), or the vendor runs on this machine, as
// the sandbox does.
func (c *Config) CallbacksReachable(vendorBaseURL string) bool {
	if u, err := url.Parse(vendorBaseURL); err == nil && isWebScheme(u.Scheme) && isLoopbackHost(u.Hostname()) {
		return true
	}
	return c.PublicURL != nil && c.PublicURL.Scheme == "https" && isPublicHost(c.PublicURL.Hostname())
}

// ListenURL is where this process answers on this machine: what callbacks of
// vendors on the same machine use when there is no public URL.
func (c *Config) ListenURL() string { return urlOf(c.Listen) }

// MetricsURL is where this process answers orchestrators; "" when nowhere.
func (c *Config) MetricsURL() string { return urlOf(c.MetricsListen) }

func urlOf(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// isPublicHost reports whether the whole internet can reach a host, as far as its name
// tells.
func isPublicHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10) // RFC 6598
		return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
	}
	dot := strings.LastIndexByte(host, '.')
	if dot <= 0 || strings.Contains(host, "_") {
		return false
	}
	// Names reserved for private networks by RFC 6761, 6762, 8375 and ICANN.
	private := []string{"localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "test", "invalid", "onion", "arpa"}
	return !slices.Contains(private, host[dot+1:])
}

// LiveReady lists what keeps a project from serving live keys; empty when
// nothing does. Test keys are served regardless. What a single channel lacks
// is EmailReady's and SMSReady's to say: channel link needs neither.
func (c *Config) LiveReady(p Project) []Fault {
	var f faults
	name := func(key string) string { return settingName(p.ID, key) }
	if !p.Pipedream.Configured() {
		f.add(name("pipedream.client_id"), "set it with the client secret and the project id to serve live keys")
	}
	if !c.AllowNoCallbacks {
		var deaf []string
		for _, v := range p.vendors() {
			if !c.CallbacksReachable(v.url) {
				deaf = append(deaf, v.name)
			}
		}
		if len(deaf) > 0 {
			f.add("CONNECTLINK_PUBLIC_URL", "%s cannot call back: want https on a public host name without an underscore, or CONNECTLINK_ALLOW_NO_CALLBACKS=true to learn everything by polling", strings.Join(deaf, ", "))
		}
	}
	return f.all
}

// EmailReady lists what keeps the project from sending email.
func (p Project) EmailReady() []Fault {
	var f faults
	there, needs := p.chosen(email, p.EmailProviders)
	switch {
	case there:
	case !slices.Contains(p.EmailProviders, BySendGrid):
		f.add(settingName(p.ID, needs), "set it to send email, or name sendgrid among the email providers")
	default:
		f.add(settingName(p.ID, needs), "set it to send email")
	}
	if p.SendGrid.From == "" {
		f.add(settingName(p.ID, "sendgrid.from"), "set it to send email")
	}
	return f.all
}

// SMSReady lists what keeps the project from sending text messages.
func (p Project) SMSReady() []Fault {
	var f faults
	if there, needs := p.chosen(sms, p.SMSProviders); !there {
		f.add(settingName(p.ID, needs), "set it, with an auth token or API key and a sender, to send text messages")
	} else if p.Brand.Region == "" && len(p.Limits.SMSCountries) == 0 {
		f.add(settingName(p.ID, "limits.sms_countries"), "name the countries to send text messages to, or set %s", settingName(p.ID, "brand.region"))
	}
	return f.all
}

type vendor struct{ name, url string }

// vendors are those the project has an account at and that call back.
func (p Project) vendors() []vendor {
	var out []vendor
	if p.Pipedream.Configured() {
		out = append(out, vendor{"Pipedream", p.Pipedream.APIURL})
	}
	for _, a := range p.Accounts() {
		if a.isReady && a.APIURL != "" {
			out = append(out, vendor{a.Label, a.APIURL})
		}
	}
	return out
}

// settingName is how a project's setting is named to people: by variable for
// the project that variables compose.
func settingName(id, key string) string {
	if id == DefaultProject {
		for _, o := range projectSettings() {
			if o.key == key {
				return o.env
			}
		}
	}
	return fmt.Sprintf("projects[%s].%s", id, key)
}

// SettingName is how a person would write a setting of the project.
func (p Project) SettingName(key string) string { return settingName(p.ID, key) }

// Warnings lists what works and yet should not stay so, one sentence each,
// beginning with the setting's name.
func (c *Config) Warnings() []string {
	out := slices.Clone(c.notes)
	warn := func(name, format string, args ...any) { out = append(out, name+": "+fmt.Sprintf(format, args...)) }
	switch {
	case c.PublicURL == nil:
		warn("CONNECTLINK_PUBLIC_URL", "not set, so only links of type connect are served and status is learnt by polling")
	case c.PublicURL.Scheme == "http" && !isLoopbackHost(c.PublicURL.Hostname()):
		warn("CONNECTLINK_PUBLIC_URL", "is not https: links can be read and changed on their way")
	}
	if len(c.TrustedProxies) == 0 && c.PublicURL != nil && c.PublicURL.Scheme == "https" {
		warn("CONNECTLINK_TRUSTED_PROXIES", "not set, although the public URL is https: all clients of the proxy in front share one rate limit")
	}
	for _, p := range c.TrustedProxies {
		if p.Bits() == 0 {
			warn("CONNECTLINK_TRUSTED_PROXIES", "trusts everybody: any client can name any address as its own")
		}
	}
	for _, p := range c.Projects {
		for _, a := range append([]Account{{Name: "pipedream", APIURL: p.Pipedream.APIURL}}, p.Accounts()...) {
			if u, err := url.Parse(a.APIURL); err == nil && u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
				warn(settingName(p.ID, a.Name+".api_url"), "is not https and leads to another machine: credentials and links can be read on their way")
			}
		}
		if p.OnUnhealthy == UnhealthyInvite && p.WatchConnections == WatchOff {
			warn(settingName(p.ID, "on_unhealthy"), "is invite, but watch_connections is off, so only accounts that are checked on request lead to an invite")
		}
		if !p.Pipedream.Configured() {
			continue
		}
		name := func(key string) string { return settingName(p.ID, key) }
		if p.Brand.Name == unnamedBrand {
			warn(name("brand.name"), "not set, so messages come from %q", unnamedBrand)
		}
		if p.Brand.LegalLine == "" {
			warn(name("brand.legal_line"), "not set, so messages and pages do not say who is behind them")
		}
		if p.Brand.PrivacyURL == "" {
			warn(name("brand.privacy_url"), "not set, so messages and pages link no privacy notice")
		}
		if p.Pipedream.Environment == Development && len(p.DevelopmentRecipients) == 0 {
			warn(name("development_recipients"), "empty, so live keys of the development environment can write to nobody")
		}
		if len(p.EmailReady()) > 0 && len(p.SMSReady()) > 0 {
			warn(name("sendgrid.api_key"), "neither SendGrid nor Twilio is set, so live keys can only use channel link")
		}
		warnPrefix(func(key, format string, args ...any) { warn(name(key), format, args...) }, "pipedream.project_id", p.Pipedream.ProjectID, "proj_")
		for _, a := range p.Accounts() {
			if a.warn != nil {
				a.warn(func(key, format string, args ...any) { warn(name(key), format, args...) }, c.PublicURL != nil)
			}
		}
	}
	return out
}
