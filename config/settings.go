package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// processSettings lists what concerns the whole process.
func processSettings() []option[Config] {
	return append([]option[Config]{
		secretSetting("database.url", "CONNECTLINK_DATABASE_URL",
			"Postgres 15 or later, as postgres://user:password@host/name.",
			func(c *Config) *secret.Text { return &c.DatabaseURL }, checkDatabaseURL).need().also("DATABASE_URL"),
		secretSetting("database.direct_url", "CONNECTLINK_DATABASE_DIRECT_URL",
			"A connection past PgBouncer, for LISTEN and advisory locks. Default: the database URL. If the two differ, the database URL is treated as that of a transaction pooler.",
			func(c *Config) *secret.Text { return &c.DatabaseDirectURL }, checkDatabaseURL),
		secretSetting("database.read_url", "CONNECTLINK_DATABASE_READ_URL",
			"A standby of the database, for lists and searches of invites; not through a transaction pooler. While it cannot serve them, the primary does. Default: none.",
			func(c *Config) *secret.Text { return &c.DatabaseReadURL }, checkDatabaseURL),
		durationSetting("database.read_staleness", "CONNECTLINK_DATABASE_READ_STALENESS", "0",
			"How old lists of the API may be when they come from the standby. 0: a list has everything that was acknowledged before its request. Lists of the console always have.", 0, maxReadStaleness,
			func(c *Config) *time.Duration { return &c.DatabaseReadStaleness }),
		countSetting("database.pool_size", "CONNECTLINK_DATABASE_POOL_SIZE", "10",
			"Maximum connections of each of a process's pools: one for requests, one for background work and, with a read URL, one on the standby; a process uses up to four more. pool_max_conns in a URL overrides it.", 1000,
			func(c *Config) *int { return &c.DatabasePoolSize }),
		textSetting("listen", "CONNECTLINK_LISTEN", "127.0.0.1:8080", "Address and port to listen on.",
			func(c *Config) *string { return &c.Listen }, checkListen),
		textSetting("metrics_listen", "CONNECTLINK_METRICS_LISTEN", "", "A second address for /livez, /readyz and /metrics only, in every role. A worker has no other address. Default: none.",
			func(c *Config) *string { return &c.MetricsListen }, checkListen),
		publicURL(),
		secretSetting("keyset", "CONNECTLINK_KEYSET",
			"The keys that encrypt stored data; `connectlink keyset create` creates one. Without it, all stored links and addresses are lost.",
			func(c *Config) *secret.Text { return &c.Keyset }, nil).need(),
		textSetting("keyset_kms_uri", KeysetKMSVariable, "",
			"The key of a KMS that the keyset is wrapped with: aws-kms://arn:…, gcp-kms://projects/… or hcvault://host/mount/keys/name. A keyset that is not wrapped with it is refused. Default: none, and the keyset is in the clear.",
			func(c *Config) *string { return &c.KeysetKMS }, checkKMSURI),
		trustedProxySetting(),
		textSetting("security_contact", "CONNECTLINK_SECURITY_CONTACT", "",
			"Where to report a vulnerability of your installation, for /.well-known/security.txt (RFC 9116): an https:, mailto: or tel: URI. Default: none, and no security.txt.",
			func(c *Config) *string { return &c.SecurityContact }, checkSecurityContact),
		boolSetting("hsts_subdomains", "CONNECTLINK_HSTS_SUBDOMAINS", "false",
			"Tell browsers that the subdomains of the public URL's host speak https only too (Strict-Transport-Security: includeSubDomains).",
			func(c *Config) *bool { return &c.HSTSSubdomains }),
		listSetting("logo_hosts", "CONNECTLINK_LOGO_HOSTS", "assets.pipedream.net",
			"Hosts that the logos of apps are fetched from, over https, to be shown on pages and in the console; `.example.com` stands for every host below it. `none`: no logo is fetched.",
			func(c *Config) *[]string { return &c.LogoHosts }, checkHost),
		logLevel(),
		durationSetting("database.wait", "CONNECTLINK_DATABASE_WAIT", "1m",
			"How long serve and migrate wait at their start for a database that does not respond; a wrong password ends them at once.", 0, time.Hour,
			func(c *Config) *time.Duration { return &c.DatabaseWait }),
		textSetting("role", "CONNECTLINK_ROLE", RoleAll, "What this process does: api, worker or all.",
			func(c *Config) *string { return &c.Role }, oneOf(RoleAPI, RoleWorker, RoleAll)),
		boolSetting("sandbox", "CONNECTLINK_SANDBOX", "true", "Serve test keys from the built-in sandbox.",
			func(c *Config) *bool { return &c.SandboxEnabled }),
		boolSetting("allow_no_callbacks", "CONNECTLINK_ALLOW_NO_CALLBACKS", "false",
			"Serve live keys even if vendors cannot reach the public URL; delivery status then comes from polling.",
			func(c *Config) *bool { return &c.AllowNoCallbacks }),
		durationSetting("settle.twilio", "CONNECTLINK_SETTLE_TWILIO", "1m",
			"How long after a send Twilio's \"not found\" is ignored.", 0, time.Hour,
			func(c *Config) *time.Duration { return &c.SettleTwilio }),
		durationSetting("settle.sendgrid", "CONNECTLINK_SETTLE_SENDGRID", "5m",
			"How long after a send a missing SendGrid event is ignored.", 0, time.Hour,
			func(c *Config) *time.Duration { return &c.SettleSendGrid }),
		durationSetting("no_receipt.email", "CONNECTLINK_NO_RECEIPT_EMAIL", "1h",
			"How long to wait for a delivery report before an accepted email is marked no_receipt.", time.Second, 7*24*time.Hour,
			func(c *Config) *time.Duration { return &c.NoReceiptEmail }),
		durationSetting("no_receipt.sms", "CONNECTLINK_NO_RECEIPT_SMS", "30m",
			"The same for text messages.", time.Second, 7*24*time.Hour,
			func(c *Config) *time.Duration { return &c.NoReceiptSMS }),
		durationSetting("keep_alive", "CONNECTLINK_KEEP_ALIVE", "620s",
			"How long an idle connection stays open. Must be longer than that of the load balancer in front (Google's: 600 s).", time.Second, time.Hour,
			func(c *Config) *time.Duration { return &c.KeepAlive }),
		durationSetting("drain_for", "CONNECTLINK_DRAIN_FOR", "5s",
			"How long requests are accepted after SIGTERM, with /readyz answering 503, so that a load balancer stops sending.", 0, time.Minute,
			func(c *Config) *time.Duration { return &c.DrainFor }),
		durationSetting("lease.for", "CONNECTLINK_LEASE_FOR", "8s",
			"How long a worker's lease on a delivery lasts without renewal.", time.Second, 5*time.Minute,
			func(c *Config) *time.Duration { return &c.LeaseFor }),
		durationSetting("lease.renew_every", "CONNECTLINK_LEASE_RENEW_EVERY", "2s",
			"How often a worker renews its leases; at most half of lease.for.", 100*time.Millisecond, time.Minute,
			func(c *Config) *time.Duration { return &c.RenewEvery }),
	}, consoleSettings()...)
}

// NoLogos as a logo host means that no logo is fetched, not even in test mode.
const NoLogos = "none"

// maxReadStaleness is well below the time for which positions of the primary are kept.
const maxReadStaleness = time.Minute

func checkSecurityContact(value string) (string, error) {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "https" || u.Host == "") && (u.Scheme != "mailto" && u.Scheme != "tel" || u.Opaque == "") || strings.ContainsAny(value, " \t\r\n") {
		return "", errors.New("want an https:, mailto: or tel: URI, for example mailto:security@acme.example")
	}
	return value, nil
}

func publicURL() option[Config] {
	return option[Config]{
		key: "public_url", env: "CONNECTLINK_PUBLIC_URL",
		help: "URL at which recipients and vendors reach this service, for example https://go.example.com. Without it only links of type connect are served.",
		set: func(c *Config, values []string) error {
			u, err := checkPublicURL(values[0])
			if err == nil {
				c.PublicURL = u
			}
			return err
		},
		show: func(c *Config) string {
			if c.PublicURL == nil {
				return ""
			}
			return c.PublicURL.String()
		},
	}
}

func trustedProxySetting() option[Config] {
	return option[Config]{
		key: "trusted_proxies", env: "CONNECTLINK_TRUSTED_PROXIES", list: true,
		help: "Networks of proxies whose X-Forwarded-For is trusted, for example 10.0.0.0/8, 192.0.2.7.",
		set: func(c *Config, values []string) error {
			var out []netip.Prefix
			for i, v := range values {
				p, err := netip.ParsePrefix(v)
				if err != nil {
					a, err := netip.ParseAddr(v)
					if err != nil || a.Zone() != "" {
						return fmt.Errorf("entry %d is neither an IP address nor a network such as 10.0.0.0/8", i+1)
					}
					p = netip.PrefixFrom(a, a.BitLen())
				}
				out = append(out, p.Masked())
			}
			c.TrustedProxies = out
			return nil
		},
		show: func(c *Config) string {
			words := make([]string, len(c.TrustedProxies))
			for i, p := range c.TrustedProxies {
				words[i] = p.String()
			}
			return strings.Join(words, ", ")
		},
	}
}

func logLevel() option[Config] {
	return option[Config]{
		key: "log_level", env: "CONNECTLINK_LOG_LEVEL", def: "info",
		help: "Minimum level of log lines: debug, info, warn or error.",
		set: func(c *Config, values []string) error {
			level, err := oneOf("debug", "info", "warn", "error")(values[0])
			if err != nil {
				return err
			}
			return c.LogLevel.UnmarshalText([]byte(level))
		},
		show: func(c *Config) string { return strings.ToLower(slog.Level(c.LogLevel).String()) },
	}
}

// checkPublicURL returns the URL without its final slash.
func checkPublicURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || !isWebScheme(u.Scheme) || u.Opaque != "" || u.Hostname() == "":
		return nil, fmt.Errorf("want a whole address such as https://go.example.com")
	case u.User != nil:
		return nil, fmt.Errorf("must not hold a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return nil, fmt.Errorf("must have neither a query (?) nor a fragment (#)")
	}
	if strings.Trim(u.EscapedPath(), "/") != "" {
		return nil, fmt.Errorf("must have no path: pages, console and callbacks are served from the root of a host, so use a name of its own, such as https://go.example.com")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	u.Path, u.RawPath = "", ""
	return u, nil
}
