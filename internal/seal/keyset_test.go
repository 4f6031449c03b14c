package seal_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

func newKeyset(t testing.TB) *seal.Keyset {
	t.Helper()
	k, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newBox(t testing.TB, k *seal.Keyset) *seal.Box {
	t.Helper()
	b, err := seal.NewBox(k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestKeysetReadsBackInEverySpelling(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	sealed := must[[]byte](t)(newBox(t, k).Seal([]byte("hello"), seal.AD{Column: "t.c"}))
	encoded := k.Encode().Reveal()
	if strings.ContainsAny(encoded, "\n {\"") {
		t.Fatalf("the encoded keyset is not one plain word")
	}
	js, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as encoded":       encoded,
		"with a newline":   encoded + "\n",
		"wrapped at 64":    wrap(encoded, 64),
		"without padding":  strings.TrimRight(encoded, "="),
		"URL-safe base64":  base64.URLEncoding.EncodeToString(js),
		"bare JSON":        string(js),
		"JSON with spaces": "  " + string(js) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			back, err := seal.ParseKeyset(secret.New(text))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := newBox(t, back).Open(sealed, seal.AD{Column: "t.c"})
			if err != nil || string(plain) != "hello" {
				t.Fatalf("Open = %q, %v", plain, err)
			}
		})
	}
}

func wrap(s string, n int) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + "\n")
		s = s[n:]
	}
	return b.String() + s
}

func TestBrokenKeysetIsRefusedWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	good := newKeyset(t).Encode().Reveal()
	js, _ := base64.StdEncoding.DecodeString(good)
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(js, &parts); err != nil {
		t.Fatal(err)
	}
	swapped := fmt.Sprintf(`{"version":1,"sealing":%s,"hashing":%s}`, parts["hashing"], parts["sealing"])
	half := fmt.Sprintf(`{"version":1,"sealing":%s}`, parts["sealing"])
	later := fmt.Sprintf(`{"version":2,"sealing":%s,"hashing":%s}`, parts["sealing"], parts["hashing"])
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"nothing":            {"", seal.ErrKeysetEmpty},
		"white space":        {" \n\t", seal.ErrKeysetEmpty},
		"cut short":          {good[:len(good)/2], seal.ErrKeysetMalformed},
		"a password":         {"CANARYhunter2", seal.ErrKeysetMalformed},
		"JSON of a stranger": {`{"CANARY":"CANARY"}`, seal.ErrKeysetMalformed},
		"halves swapped":     {swapped, seal.ErrKeysetMalformed},
		"one half":           {half, seal.ErrKeysetMalformed},
		"a later version":    {later, seal.ErrKeysetMalformed},
		"key of CANARY":      {`{"version":1,"sealing":{"CANARY":1},"hashing":"CANARY"}`, seal.ErrKeysetMalformed},
		"huge":               {strings.Repeat("A", 2<<20), seal.ErrKeysetMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := seal.ParseKeyset(secret.New(tc.text))
			if !errors.Is(err, tc.want) {
				t.Fatalf("error = %v, want %v", err, tc.want)
			}
			if strings.Contains(err.Error(), "CANARY") {
				t.Fatalf("the error quotes its input: %v", err)
			}
		})
	}
}

func TestRotationKeepsTheOldReadableAndUsesTheNew(t *testing.T) {
	t.Parallel()
	ad := seal.AD{Column: "invites.content", ID: [16]byte{1}}
	old := newKeyset(t)
	oldBox := newBox(t, old)
	sealedOld := must[[]byte](t)(oldBox.Seal([]byte("from before"), ad))
	hashOld := oldBox.Hash("email", "pat@customer.example")

	rotated := must[*seal.Keyset](t)(old.Rotate())
	// Through its text, as a deployment would.
	rotated = must[*seal.Keyset](t)(seal.ParseKeyset(rotated.Encode()))
	box := newBox(t, rotated)
	plain, err := box.Open(sealedOld, ad)
	if err != nil || string(plain) != "from before" {
		t.Fatalf("rotated keyset opens the old value: %q, %v", plain, err)
	}
	sealedNew := must[[]byte](t)(box.Seal([]byte("after"), ad))
	if _, err := oldBox.Open(sealedNew, ad); !errors.Is(err, seal.ErrOpen) {
		t.Fatalf("the old keyset opens what the new key sealed: the new key is not in use (%v)", err)
	}
	hashes := box.Hashes("email", "pat@customer.example")
	if len(hashes) != 2 {
		t.Fatalf("%d hashes, want one per live key", len(hashes))
	}
	if string(hashes[0]) != string(box.Hash("email", "pat@customer.example")) {
		t.Error("the primary key's hash is not the first")
	}
	if string(hashes[1]) != string(hashOld) {
		t.Error("the old key's hash is not found")
	}
	if hashes[0].KeyID() != box.HashKeyID() || hashes[1].KeyID() != oldBox.HashKeyID() || box.HashKeyID() == oldBox.HashKeyID() {
		t.Error("key ids do not tell which hash is due for re-hashing")
	}

	retired := must[*seal.Keyset](t)(rotated.Retire())
	last := newBox(t, retired)
	if _, err := last.Open(sealedOld, ad); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("a retired key still opens: %v", err)
	}
	if plain, err := last.Open(sealedNew, ad); err != nil || string(plain) != "after" {
		t.Errorf("retiring lost the primary key: %q, %v", plain, err)
	}
	if n := len(last.Hashes("x")); n != 1 {
		t.Errorf("%d hashing keys after retiring, want 1", n)
	}
}

func TestRotationWithoutDowntime(t *testing.T) {
	t.Parallel()
	ad := seal.AD{Column: "t.c"}
	old := newKeyset(t)
	introduced := must[*seal.Keyset](t)(old.Introduce())
	promoted := must[*seal.Keyset](t)(introduced.Promote())

	a, b, c := newBox(t, old), newBox(t, introduced), newBox(t, promoted)
	// Every neighbouring pair of deployments reads and finds each other's values.
	for _, pair := range [][2]*seal.Box{{a, b}, {b, a}, {b, c}, {c, b}} {
		sealed := must[[]byte](t)(pair[0].Seal([]byte("x"), ad))
		if _, err := pair[1].Open(sealed, ad); err != nil {
			t.Fatalf("a process of the neighbouring deployment cannot open: %v", err)
		}
		found := false
		for _, h := range pair[1].Hashes("k", "v") {
			found = found || string(h) == string(pair[0].Hash("k", "v"))
		}
		if !found {
			t.Fatal("a process of the neighbouring deployment cannot find")
		}
	}
	if a.HashKeyID() != b.HashKeyID() || b.HashKeyID() == c.HashKeyID() {
		t.Fatal("Introduce must not promote, Promote must")
	}
}

func TestRotatingLeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	before := k.Encode().Reveal()
	must[*seal.Keyset](t)(k.Rotate())
	if k.Encode().Reveal() != before {
		t.Fatal("Rotate changed its receiver")
	}
}

func TestKeysetAndBoxNeverPrintKeys(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	js, _ := base64.StdEncoding.DecodeString(k.Encode().Reveal())
	var keys struct {
		Sealing struct {
			Key []struct{ KeyData struct{ Value string } }
		}
	}
	if err := json.Unmarshal(js, &keys); err != nil || len(keys.Sealing.Key) != 1 {
		t.Fatalf("cannot see the key material in the encoded form: %v", err)
	}
	material := keys.Sealing.Key[0].KeyData.Value
	raw, _ := base64.StdEncoding.DecodeString(material)
	holder := struct {
		K *seal.Keyset
		B *seal.Box
	}{k, newBox(t, k)}

	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "keyset", k, "holder", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keyset", k, "holder", holder)
	marshalled, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(marshalled)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, holder.B)
	}
	if strings.Contains(shown, material) || strings.Contains(shown, string(raw)) || strings.Contains(shown, fmt.Sprintf("%x", raw)) {
		t.Fatal("key material is printed")
	}
	if !strings.Contains(shown, secret.Redacted) {
		t.Fatalf("nothing was printed at all: %s", shown)
	}
}
