package structure_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rows is the order of imports: a package imports packages of lower rows only,
// never of its own. A package inside another package's folder (console/view)
// is a part of that package: it stands in its row, its parent may import it,
// and it may not import its parent. The folder store is no package. "provider/*"
// are the vendors' packages: each stands alone, and only app may import one.
//
// The tables in docs/architecture.md describe each.
func rows() [][]string {
	return [][]string{
		{"cmd/connectlink"},
		{"app"},
		{"httpapi", "linkpage", "console", "worker"},
		{"web"},
		{"issue", "visit", "dispatch", "track", "publish", "grant", "suppress", "unmask", "attend", "export", "erase", "pause", "warn", "reseal", "restore", "audit", "firewall", "survey", "reword", "testsend"},
		{"mint", "watch", "funnel", "compose", "resource", "quota", "logo"},
		{"store/ledger", "store/queue", "store/account", "store/find", "store/suppression", "store/desk", "store/bulk", "store/wording", "store/endpoint", "store/traffic", "store/counts", "store/keyring", "store/recovery", "pipedream", "provider/*", "oidc", "sandbox"},
		{"provider", "store/userid", "page", "guide", "trace"},
		{"postgres", "message", "job", "access", "seal", "kms", "limit", "contact", "wire"},
		{"invite"},
		{"deploy/devpg", "config", "docs", "migrations", "templates"},
		{"secret", "required", "refresh", "markup"}, // below config, which keeps its secrets in it
	}
}

// support is what only tests import. It may import anything but the top two
// rows: what boots a process is a test of its own.
func support() []string {
	return []string{"postgrestest", "browsertest", "wire/wiretest", "kms/kmstest", "oidc/oidctest", "provider/providertest", "track/tracktest", "chaos", "bench", "processtest", "servertest", "waittest", "longtest", "structure"}
}

func isSupport(pkg string) bool {
	return slices.ContainsFunc(support(), func(s string) bool { return within(short(pkg), s) })
}

// within reports whether a package is another or stands in its folder.
func within(pkg, parent string) bool { return pkg == parent || strings.HasPrefix(pkg, parent+"/") }

// isVendor reports whether a package is the folder of one provider.
func isVendor(pkg string) bool { return strings.HasPrefix(short(pkg), "provider/") && !isSupport(pkg) }

// row is the number of a package's row, and the package there that it is a part of.
func row(pkg string) (number int, of string, ok bool) {
	for i, names := range rows() {
		for _, name := range names {
			if folder, any := strings.CutSuffix(name, "*"); any && strings.HasPrefix(short(pkg), folder) || !any && within(short(pkg), name) {
				return i, name, true
			}
		}
	}
	return 0, "", false
}

// mayImport returns why a package must not import another; "" if it may.
func mayImport(from, to string, test bool) string {
	_, _, ranked := row(to)
	switch {
	case isSupport(to):
		if !test && !isSupport(from) {
			return "it is test support, and this is not a test"
		}
		return ""
	case !ranked:
		return "it has no row; give it one in rows, or name it as test support"
	case isVendor(to) && !isVendor(from) && !isSupport(from) && !test && !within(short(from), "app"):
		return "only app, which wires them, knows the vendors' packages; the others know package provider"
	case test:
		return "" // a test may import higher rows to assemble its subject
	}
	target, of, _ := row(to)
	if isSupport(from) {
		if target <= 1 {
			return "test support must not need a whole process"
		}
		return ""
	}
	own, part, ranked := row(from)
	switch {
	case !ranked:
		return "" // said once, for the package
	case part == of && short(from) == of:
		return "" // a package may use its parts
	case part == of:
		return fmt.Sprintf("%s is what it is a part of, or another part of it", of)
	case target <= own:
		return fmt.Sprintf("row %d is not below row %d", target, own)
	}
	return ""
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if _, _, ok := row(s.pkg); !ok && !isSupport(s.pkg) && !seen[s.pkg] {
			t.Errorf("package %s has no row; give it one in rows, or name it as test support", s.pkg)
		}
		seen[s.pkg] = true
		for i, imported := range s.imports {
			if imported != s.syntax.Imports[i].Path.Value[1:len(s.syntax.Imports[i].Path.Value)-1] { // one of ours
				if imported == s.pkg && s.test {
					continue
				}
				if why := mayImport(s.pkg, imported, s.test); why != "" {
					t.Errorf("%s imports %s: %s", s.at(s.syntax.Imports[i]), imported, why)
				}
			}
		}
	}
}

func TestTheOrderItselfHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		test, ok bool
	}{
		"a use case reads the store":             {"internal/issue", "internal/store/find", false, true},
		"the domain knows secrets":               {"internal/invite", "internal/secret", false, true},
		"a use case calls no other use case":     {"internal/issue", "internal/dispatch", false, false},
		"a vendor's package knows the contract":  {"internal/provider/sendgrid", "internal/provider", false, true},
		"the contract knows no vendor":           {"internal/provider", "internal/provider/twilio", false, false},
		"a vendor's package knows no other":      {"internal/provider/sendgrid", "internal/provider/twilio", false, false},
		"a use case knows the contract":          {"internal/track", "internal/provider", false, true},
		"a use case knows no vendor":             {"internal/track", "internal/provider/twilio", false, false},
		"the wiring knows the vendors":           {"internal/app", "internal/provider/smtp", false, true},
		"test support knows vendors":             {"internal/chaos", "internal/provider/smtp", false, true},
		"an outbound edge knows no use case":     {"internal/provider/sendgrid", "internal/dispatch", false, false},
		"the stores do not know each other":      {"internal/store/find", "internal/store/ledger", false, false},
		"the domain knows no database":           {"internal/invite", "internal/postgres", false, false},
		"a package uses its parts":               {"internal/console", "internal/console/view", false, true},
		"whoever is above uses a package's part": {"internal/app", "internal/console/view", false, true},
		"a part does not use the whole":          {"internal/console/view", "internal/console", false, false},
		"a neighbour uses no part":               {"internal/httpapi", "internal/console/view", false, false},
		"a part goes no further down than up":    {"internal/console/view", "internal/worker", false, false},
		"code does not use test support":         {"internal/issue", "internal/postgrestest", false, false},
		"a test uses test support":               {"internal/issue", "internal/postgrestest", true, true},
		"test support uses what it supports":     {"internal/chaos", "internal/dispatch", false, true},
		"test support boots no process":          {"internal/chaos", "internal/app", false, false},
		"an unranked package is nobody's":        {"internal/issue", "internal/helpers", false, false},
		"a name that begins alike is no part":    {"internal/store/find", "internal/webhook", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if why := mayImport(c.from, c.to, c.test); (why == "") != c.ok {
				t.Errorf("mayImport(%s, %s, test %t) = %q", c.from, c.to, c.test, why)
			}
		})
	}
}
