package access_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func TestNewKeyParsesToItsOwnMode(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^cl_(test|live)_[0-9A-Za-z]{43}$`)
	for _, livemode := range []bool{false, true} {
		key, hint := access.NewKey(livemode)
		if !form.MatchString(key.Reveal()) || len(key.Reveal()) != access.KeyLength {
			t.Fatalf("a key of livemode %v has another form", livemode)
		}
		if strings.HasPrefix(key.Reveal(), "cl_live_") != livemode {
			t.Fatal("the prefix tells another mode")
		}
		got, err := access.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		want := access.Key{Livemode: livemode, Digest: secret.Digest(key), Hint: hint}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if tail := key.Reveal()[len(key.Reveal())-4:]; !strings.HasSuffix(hint, "…"+tail) || len(hint) != len("cl_test_…")+4 {
			t.Errorf("hint %q is not prefix and last four", hint)
		}
	}
}

func TestMistypedKeysAreRecognisedOffline(t *testing.T) {
	t.Parallel()
	for _, livemode := range []bool{false, true} {
		key, _ := access.NewKey(livemode)
		good := key.Reveal()
		for i := len("cl_test_"); i < len(good); i++ {
			for _, c := range []byte(alphabet) {
				if c == good[i] {
					continue
				}
				bad := []byte(good)
				bad[i] = c
				if _, err := access.ParseKey(secret.New(string(bad))); !errors.Is(err, access.ErrMistyped) {
					t.Fatalf("character %d replaced: error = %v, want ErrMistyped", i, err)
				}
			}
		}
		other := strings.NewReplacer("cl_test_", "cl_live_", "cl_live_", "cl_test_").Replace(good)
		if _, err := access.ParseKey(secret.New(other)); !errors.Is(err, access.ErrMistyped) {
			t.Fatalf("the mode exchanged: error = %v, want ErrMistyped", err)
		}
	}
}

func TestSwappedNeighboursAreRecognised(t *testing.T) {
	t.Parallel()
	key, _ := access.NewKey(false)
	good := key.Reveal()
	for i := len("cl_test_"); i+1 < len(good); i++ {
		a, b := good[i], good[i+1]
		if a == b || a == '0' && b == 'z' || a == 'z' && b == '0' {
			continue // the same text, or the one documented blind spot
		}
		bad := []byte(good)
		bad[i], bad[i+1] = b, a
		if _, err := access.ParseKey(secret.New(string(bad))); !errors.Is(err, access.ErrMistyped) {
			t.Fatalf("characters %d and %d (%c%c) swapped: error = %v, want ErrMistyped", i, i+1, a, b, err)
		}
	}
}

func TestWhatIsNoKeyIsRefusedWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	key, _ := access.NewKey(false)
	good := key.Reveal()
	for _, s := range []string{
		"", "CANARY", "cl_test_", "cl_prod_" + good[8:], "CL_TEST_" + good[8:], good[:len(good)-1], good + "0", " " + good[1:],
		good[:20] + "-" + good[21:], good[:20] + "\x00" + good[21:], "cl_test_CANARY" + strings.Repeat("é", 18), strings.Repeat("CANARY", 1000),
	} {
		_, err := access.ParseKey(secret.New(s))
		if !errors.Is(err, access.ErrNotAKey) {
			t.Errorf("%.20q: error = %v, want ErrNotAKey", s, err)
		}
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("the error quotes its input: %v", err)
		}
	}
}

func TestRandomCharactersAreUnbiased(t *testing.T) {
	t.Parallel()
	const keys = 6000 // 120,000 characters
	var counts [256]int
	for range keys {
		code := access.NewCode().Reveal()
		if !access.ValidCode(code) {
			t.Fatalf("a new code is not valid")
		}
		for i := range len(code) {
			counts[code[i]]++
		}
	}
	// Pearson's test against the even distribution. With 61 degrees of
	// freedom 140 is passed once in 10^7 runs; taking bytes modulo 62
	// without rejection (8 characters favoured 5 to 4) gives about 950.
	expected := float64(keys*access.CodeLength) / float64(len(alphabet))
	chi := 0.0
	for i := range len(alphabet) {
		chi += math.Pow(float64(counts[alphabet[i]])-expected, 2) / expected
	}
	if chi > 140 {
		t.Fatalf("chi-squared = %.0f: some characters are likelier than others", chi)
	}
}

func TestEverySecretIsNewAndValid(t *testing.T) {
	t.Parallel()
	makers := map[string]func() secret.Text{
		"key":             func() secret.Text { k, _ := access.NewKey(true); return k },
		"code":            access.NewCode,
		"callback secret": access.NewCallbackSecret,
		"client token":    access.NewClientToken,
		"webhook secret":  access.NewWebhookSecret,
	}
	valid := map[string]func(string) bool{
		"code":            access.ValidCode,
		"callback secret": access.ValidCallbackSecret,
		"client token":    access.ValidClientToken,
		"webhook secret": func(s string) bool {
			rest, ok := strings.CutPrefix(s, "whsec_")
			raw, err := base64.StdEncoding.DecodeString(rest)
			return ok && err == nil && len(raw) >= 24 && len(raw) <= 64
		},
	}
	for name, make := range makers {
		seen := map[string]bool{}
		cut := 1
		if name == "code" {
			cut += access.CodeLength - access.OldCodeLength // shorter ones can be of an earlier version
		}
		for range 200 {
			s := make().Reveal()
			if seen[s] {
				t.Fatalf("%s: made twice", name)
			}
			seen[s] = true
			if ok := valid[name]; ok != nil {
				if !ok(s) {
					t.Fatalf("%s: a new one is not valid", name)
				}
				if name != "webhook secret" && (ok(s+"a") || ok(s[cut:]) || ok(s[:len(s)-1]+"_")) {
					t.Fatalf("%s: a damaged one is valid", name)
				}
			}
		}
	}
}

func TestDigestTellsSecretsApart(t *testing.T) {
	t.Parallel()
	a, b := access.NewCode(), access.NewCode()
	if bytes.Equal(secret.Digest(a), secret.Digest(b)) || !bytes.Equal(secret.Digest(a), secret.Digest(a)) || len(secret.Digest(a)) != 32 {
		t.Fatal("the digest is not a digest")
	}
}

func TestParseScopes(t *testing.T) {
	t.Parallel()
	got, err := access.ParseScopes(" links:read, invites:write\ninvites:write ")
	if diff := cmp.Diff([]access.Scope{access.InvitesWrite, access.LinksRead}, got); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	for _, s := range access.Scopes() {
		if got, err := access.ParseScopes(string(s)); err != nil || len(got) != 1 || got[0] != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	if diff := cmp.Diff(access.Scopes()[:3], access.DefaultScopes()); diff != "" {
		t.Error(diff)
	}
	_, err = access.ParseScopes("invites:write everything root")
	if err == nil || !strings.Contains(err.Error(), `"everything", "root"`) {
		t.Errorf("error = %v, want both unknown scopes named", err)
	}
	if _, err := access.ParseScopes(" , "); err == nil {
		t.Error("no scope at all was accepted")
	}
}

func TestOnlyKeysAndTheSystemHoldScopes(t *testing.T) {
	t.Parallel()
	all := access.Scopes()
	for _, tc := range []struct {
		p    access.Principal
		can  []access.Scope
		name string
	}{
		{access.Principal{Kind: access.KindKey, ID: "key_1", Scopes: access.DefaultScopes()}, access.DefaultScopes(), "key:key_1"},
		{access.Principal{Kind: access.KindKey, ID: "key_1", Scopes: []access.Scope{access.Admin}}, []access.Scope{access.Admin}, "key:key_1"},
		{access.Principal{Kind: access.KindStaff, ID: "u1", Role: access.RoleAdmin, Scopes: all}, nil, "staff:u1"},
		{access.Principal{Kind: access.KindRecipient, Scopes: all}, nil, "recipient"},
		{access.Principal{Kind: access.KindProvider, ID: "twilio", Scopes: all}, nil, "provider:twilio"},
		{access.Principal{}, nil, ""},
		{access.System(invite.Place{Project: "default", Live: true}), all, "system"},
	} {
		var can []access.Scope
		for _, s := range all {
			if tc.p.Can(s) {
				can = append(can, s)
			}
		}
		if diff := cmp.Diff(tc.can, can); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if got := tc.p.Actor(); got != tc.name {
			t.Errorf("Actor() = %q, want %q", got, tc.name)
		}
	}
}

func TestRolesAreOrdered(t *testing.T) {
	t.Parallel()
	roles := access.Roles()
	for i, have := range roles {
		for j, want := range roles {
			if got := have.AtLeast(want); got != (i >= j) {
				t.Errorf("%s at least %s = %v", have, want, got)
			}
		}
	}
	if access.Role("root").AtLeast(access.RoleViewer) || access.RoleAdmin.AtLeast("root") {
		t.Error("an unknown role counts")
	}
}

func FuzzParseKey(f *testing.F) {
	key, _ := access.NewKey(true)
	f.Add(key.Reveal())
	f.Add("cl_test_")
	f.Add(strings.Repeat("cl_live_", 7))
	f.Fuzz(func(t *testing.T, s string) {
		k, err := access.ParseKey(secret.New(s))
		if err == nil && (len(s) != access.KeyLength || strings.HasPrefix(s, "cl_live_") != k.Livemode) {
			t.Fatalf("%q parses to %+v", s, k)
		}
	})
}
