package main_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/kms/kmstest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// kmsURIs are keys of the stand-in at each vendor.
func kmsURIs() map[string]string {
	return map[string]string{"aws": kmstest.AWS, "google": kmstest.Google, "vault": kmstest.Vault}
}

// wrappedKeyset makes a keyset at the stand-in, and the variables that use it.
func wrappedKeyset(t *testing.T, s *kmstest.Server, uri string) vars {
	t.Helper()
	v := vars{"CONNECTLINK_KEYSET_KMS_URI": uri}.with(s.Env())
	return v.with(vars{"CONNECTLINK_KEYSET": strings.TrimSpace(mustRun(t, v, "keyset", "create"))})
}

// keysetIDs are the ids of a keyset in the clear.
func keysetIDs(t *testing.T, text string) seal.KeyIDs {
	t.Helper()
	k, err := seal.ParseKeyset(secret.New(text))
	if err != nil {
		t.Fatal(err)
	}
	return k.IDs()
}

// TestKeysetIsWrappedByAKMS makes, rotates, unwraps and wraps a keyset at each vendor.
func TestKeysetIsWrappedByAKMS(t *testing.T) {
	t.Parallel()
	for name, uri := range kmsURIs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kmstest.New(t)
			v := wrappedKeyset(t, s, uri)
			if _, err := seal.ParseKeyset(secret.New(v["CONNECTLINK_KEYSET"])); err != seal.ErrKeysetWrapped {
				t.Fatalf("a wrapped keyset reads as %v", err)
			}
			raw, err := base64.StdEncoding.DecodeString(v["CONNECTLINK_KEYSET"])
			if err != nil || strings.Contains(string(raw), "primaryKeyId") && strings.Contains(string(raw), "keyData") {
				t.Fatalf("keys in the clear: %v", err)
			}
			for _, c := range s.Calls() {
				if c.Associated == "" || c.Associated == "null" {
					t.Errorf("%s %s without associated data", c.Host, c.Method)
				}
			}
			plain := strings.TrimSpace(mustRun(t, v, "keyset", "unwrap"))
			ids := keysetIDs(t, plain)
			rotated := v.with(vars{"CONNECTLINK_KEYSET": strings.TrimSpace(mustRun(t, v, "keyset", "rotate", "--introduce"))})
			if got := keysetIDs(t, strings.TrimSpace(mustRun(t, rotated, "keyset", "unwrap"))); len(got.Sealing) != 2 || got.Sealing[0] != ids.Sealing[0] {
				t.Errorf("rotated %v to %v", ids, got)
			}
			again := v.with(vars{"CONNECTLINK_KEYSET": plain})
			runCommand(t, again, "keyset", "rotate").want(t, 2, "in the clear", "connectlink keyset wrap")
			again["CONNECTLINK_KEYSET"] = strings.TrimSpace(mustRun(t, again, "keyset", "wrap"))
			if got := strings.TrimSpace(mustRun(t, again, "keyset", "unwrap")); got != plain {
				t.Error("wrapping changed the keys")
			}
		})
	}
}

// TestWrappedKeysetFailsClosed: nothing but the configured key of a KMS that answers gives
// the keyset, and no error holds a key.
func TestWrappedKeysetFailsClosed(t *testing.T) {
	t.Parallel()
	plain := newKeyset(t)
	for name, uri := range kmsURIs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kmstest.New(t)
			v := wrappedKeyset(t, s, uri)
			refused := func(v vars, code int, says ...string) {
				t.Helper()
				r := runCommand(t, v, "keyset", "rotate")
				r.want(t, code, says...)
				r.hides(t, v["CONNECTLINK_KEYSET"], plain, v["VAULT_TOKEN"], v["AWS_SECRET_ACCESS_KEY"], "primaryKeyId")
				if r.stdout != "" {
					t.Errorf("prints %q", r.stdout)
				}
			}
			refused(v.with(vars{"CONNECTLINK_KEYSET": plain}), 2, "CONNECTLINK_KEYSET", "in the clear", "connectlink keyset wrap")
			bare := maps.Clone(v)
			delete(bare, "CONNECTLINK_KEYSET_KMS_URI")
			refused(bare, 2, "set CONNECTLINK_KEYSET_KMS_URI to "+uri)
			other := v.with(vars{"CONNECTLINK_KEYSET_KMS_URI": uri + "2"})
			refused(other, 2, "names another key")
			refused(v.with(vars{"CONNECTLINK_KEYSET_KMS_URI": "https://kms.example/key"}), 2, "CONNECTLINK_KEYSET_KMS_URI", "hcvault://")

			// The text is changed, and says that it is of another key.
			refused(other.with(vars{"CONNECTLINK_KEYSET": altered(t, v["CONNECTLINK_KEYSET"], func(m map[string]any) { m["kms"] = uri + "2" })}), 1, "the KMS refuses", "status 400")
			refused(v.with(vars{"CONNECTLINK_KEYSET": altered(t, v["CONNECTLINK_KEYSET"], func(m map[string]any) {
				text := m["keyset"].(string)
				m["keyset"] = text[:len(text)-8]
			})}), 1, "damaged")
			refused(v.with(vars{"CONNECTLINK_KEYSET": altered(t, v["CONNECTLINK_KEYSET"], func(m map[string]any) {
				key := m["data_key"].(map[string]any)
				text := key["encryptedKeyset"].(string)
				key["encryptedKeyset"] = text[:len(text)-8]
			})}), 1, "the KMS refuses", "status 400")
			refused(v.with(vars{"CONNECTLINK_KEYSET": v["CONNECTLINK_KEYSET"][:200]}), 2, "not readable")
			missing := vars{"CONNECTLINK_KEYSET_KMS_URI": uri + "missing"}.with(s.Env())
			runCommand(t, missing, "keyset", "create").want(t, 1, "the KMS refuses")

			s.SetDenied(true)
			refused(v, 1, "the KMS refuses", "right to decrypt with "+uri)
			s.SetDenied(false)
			s.SetAway(true)
			refused(v, 1, "the KMS cannot be reached", map[string]string{"aws": "AWS KMS in eu-central-1", "google": "cloudkms.googleapis.com", "vault": kmstest.VaultHost}[name])
			s.SetAway(false)
			s.SetBusy(1)
			refused(v, 1, "the KMS cannot be reached", "status ")
			mustRun(t, v, "keyset", "rotate")
		})
	}
}

// altered changes a wrapped keyset's JSON.
func altered(t *testing.T, text string, change func(map[string]any)) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if raw, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// TestKeysetOfManyRotationsIsWrapped: AWS KMS encrypts 4096 bytes at most.
func TestKeysetOfManyRotationsIsWrapped(t *testing.T) {
	t.Parallel()
	k, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if k, err = k.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	s := kmstest.New(t)
	v := vars{"CONNECTLINK_KEYSET_KMS_URI": kmstest.AWS, "CONNECTLINK_KEYSET": k.Encode().Reveal()}.with(s.Env())
	if n := len(v["CONNECTLINK_KEYSET"]); n < 8192 {
		t.Fatalf("a small keyset of %d bytes", n)
	}
	v["CONNECTLINK_KEYSET"] = strings.TrimSpace(mustRun(t, v, "keyset", "wrap"))
	if got := strings.TrimSpace(mustRun(t, v, "keyset", "unwrap")); got != k.Encode().Reveal() {
		t.Error("another keyset")
	}
}

// TestKeysetMovesToAnotherKMS wraps a wrapped keyset with the key of another vendor.
func TestKeysetMovesToAnotherKMS(t *testing.T) {
	t.Parallel()
	s := kmstest.New(t)
	v := wrappedKeyset(t, s, kmstest.AWS)
	plain := mustRun(t, v, "keyset", "unwrap")
	moved := v.with(vars{"CONNECTLINK_KEYSET_KMS_URI": kmstest.Vault})
	moved["CONNECTLINK_KEYSET"] = strings.TrimSpace(mustRun(t, moved, "keyset", "wrap"))
	if got := mustRun(t, moved, "keyset", "unwrap"); got != plain {
		t.Error("another keyset")
	}
	runCommand(t, moved.with(vars{"CONNECTLINK_KEYSET": strings.TrimSpace(plain), "CONNECTLINK_KEYSET_KMS_URI": ""}), "keyset", "unwrap").want(t, 2, "is not wrapped")
}

// TestServeWaitsForTheKMS starts with a KMS that is away at first, and refuses to start with
// one that stays away.
func TestServeWaitsForTheKMS(t *testing.T) {
	t.Parallel()
	s := kmstest.New(t)
	v := deployment(t, "").with(wrappedKeyset(t, s, kmstest.Vault))
	mustRun(t, v, "doctor")
	s.SetAway(true)
	runCommand(t, v, "doctor").want(t, 1, "WRONG keyset at the KMS", kmstest.VaultHost)
	runCommand(t, v.with(vars{"CONNECTLINK_DATABASE_WAIT": "0s", "CONNECTLINK_LISTEN": "127.0.0.1:0"}), "serve").want(t, 1, "the KMS cannot be reached", kmstest.VaultHost)

	p := start(t, v.with(vars{"CONNECTLINK_LISTEN": "127.0.0.1:0"}), "serve")
	p.says(&p.err, "waiting for the KMS")
	s.SetAway(false)
	p.says(&p.err, `"msg":"serving"`)
	p.interrupt()
}

// TestKeysetCreateReadsTheKMSOfAFile: a first keyset is wrapped before the rest of the
// configuration is complete, and no file is left where the KMS refuses.
func TestKeysetCreateReadsTheKMSOfAFile(t *testing.T) {
	t.Parallel()
	s := kmstest.New(t)
	dir := t.TempDir()
	file, out := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "keyset")
	if err := os.WriteFile(file, []byte("keyset_kms_uri: "+kmstest.Google+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.SetDenied(true)
	runCommand(t, s.Env(), "keyset", "create", "--config", file, "--out", out).want(t, 1, "the KMS refuses", "PERMISSION_DENIED")
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("the file: %v", err)
	}
	s.SetDenied(false)
	mustRun(t, s.Env(), "keyset", "create", "--config", file, "--out", out)
	text, err := os.ReadFile(out)
	if uri, ok := seal.FindWrapping(secret.New(string(text))); err != nil || !ok || uri != kmstest.Google {
		t.Errorf("wrapped %v with %q: %v", ok, uri, err)
	}
	if !slices.ContainsFunc(s.Calls(), func(c kmstest.Call) bool { return c.Method == "encrypt" && c.Associated == "connectlink.keyset.v1" }) {
		t.Errorf("calls %+v", s.Calls())
	}
}
