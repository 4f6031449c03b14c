package seal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestSealedValueOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	box := newBox(t, newKeyset(t))
	home := seal.AD{Column: "invites.content", ID: [16]byte{15: 7}}
	sealed := must[[]byte](t)(box.Seal([]byte("CANARY"), home))
	if bytes.Contains(sealed, []byte("CANARY")) {
		t.Fatal("the sealed value holds its plaintext")
	}
	if plain, err := box.Open(sealed, home); err != nil || string(plain) != "CANARY" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	strangers := map[string]seal.AD{
		"another column": {Column: "invites.note", ID: home.ID},
		"another row":    {Column: home.Column, ID: [16]byte{15: 8}},
		"no column":      {ID: home.ID},
		"nothing":        {},
	}
	for name, ad := range strangers {
		if _, err := box.Open(sealed, ad); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: error = %v, want ErrOpen", name, err)
		}
	}
	if _, err := newBox(t, newKeyset(t)).Open(sealed, home); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another keyset: error = %v, want ErrOpen", err)
	}
}

func TestEveryAlteredByteIsNoticedAndNoErrorTellsThePlaintext(t *testing.T) {
	t.Parallel()
	box := newBox(t, newKeyset(t))
	ad := seal.AD{Column: "t.c"}
	sealed := must[[]byte](t)(box.Seal([]byte("CANARY"), ad))
	check := func(what string, altered []byte) {
		plain, err := box.Open(altered, ad)
		if !errors.Is(err, seal.ErrOpen) || plain != nil {
			t.Fatalf("%s: Open = %q, %v", what, plain, err)
		}
		if shown := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(shown, "CANARY") || strings.Contains(shown, hex.EncodeToString(sealed)) {
			t.Fatalf("%s: the error tells too much: %s", what, shown)
		}
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		check(fmt.Sprintf("byte %d of %d", i, len(sealed)), altered)
	}
	for n := range sealed {
		check(fmt.Sprintf("cut to %d", n), sealed[:n])
	}
	check("one byte more", append(bytes.Clone(sealed), 0))
}

func TestSealingTwiceGivesDifferentBytes(t *testing.T) {
	t.Parallel()
	box := newBox(t, newKeyset(t))
	a := must[[]byte](t)(box.Seal([]byte("x"), seal.AD{}))
	b := must[[]byte](t)(box.Seal([]byte("x"), seal.AD{}))
	if bytes.Equal(a, b) {
		t.Fatal("equal plaintexts can be told by their sealed bytes")
	}
}

func TestHashIsStableAndKeepsKindsAndPartsApart(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	box, twin := newBox(t, k), newBox(t, k)
	base := box.Hash("email", "ab", "c")
	if len(base) != seal.HashSize {
		t.Fatalf("%d bytes, want %d", len(base), seal.HashSize)
	}
	if !bytes.Equal(base, twin.Hash("email", "ab", "c")) {
		t.Fatal("two boxes of one keyset disagree")
	}
	for name, other := range map[string]seal.Hash{
		"parts cut elsewhere": box.Hash("email", "a", "bc"),
		"one part":            box.Hash("email", "abc"),
		"kind and part moved": box.Hash("emaila", "b", "c"),
		"another kind":        box.Hash("phone", "ab", "c"),
		"an empty part more":  box.Hash("email", "ab", "c", ""),
		"another keyset":      newBox(t, newKeyset(t)).Hash("email", "ab", "c"),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("%s: the same hash", name)
		}
	}
}

func TestHashJoiningIsUnambiguous(t *testing.T) {
	t.Parallel()
	box := newBox(t, newKeyset(t))
	rapid.Check(t, func(rt *rapid.T) {
		words := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune{'a', 0, 1, 'é'}), 0, 3, -1), 1, 4)
		a, b := words.Draw(rt, "a"), words.Draw(rt, "b")
		same := fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b)
		if got := bytes.Equal(box.Hash(a[0], a[1:]...), box.Hash(b[0], b[1:]...)); got != same {
			rt.Fatalf("%q and %q: equal hashes = %v", a, b, got)
		}
	})
}

func TestDigestIsPlainSHA256(t *testing.T) {
	t.Parallel()
	// The known answer of FIPS 180-2 for "abc".
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := hex.EncodeToString(secret.Digest(secret.New("abc"))); got != want {
		t.Fatalf("Digest = %s", got)
	}
}

func TestBoxIsSafeForSeveralGoroutines(t *testing.T) {
	t.Parallel()
	box := newBox(t, must[*seal.Keyset](t)(newKeyset(t).Rotate()))
	want := box.Hash("k", "v")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			ad := seal.AD{Column: "t.c", ID: [16]byte{byte(g)}}
			for range 200 {
				sealed, err := box.Seal([]byte("x"), ad)
				if err != nil {
					t.Error(err)
					return
				}
				if plain, err := box.Open(sealed, ad); err != nil || string(plain) != "x" {
					t.Errorf("Open = %q, %v", plain, err)
					return
				}
				if !bytes.Equal(want, box.Hash("k", "v")) {
					t.Error("a hash came out differently")
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	box := newBox(f, newKeyset(f))
	ad := seal.AD{Column: "t.c"}
	good := must[[]byte](f)(box.Seal([]byte("x"), ad))
	f.Add([]byte(nil))
	f.Add(good[:5])
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := box.Open(b, ad); err == nil && !bytes.Equal(b, good) {
			t.Fatal("a forged value opened")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	box := newBox(b, newKeyset(b))
	ad := seal.AD{Column: "invites.content", ID: [16]byte{1}}
	plain := bytes.Repeat([]byte("x"), 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := box.Seal(plain, ad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	box := newBox(b, newKeyset(b))
	ad := seal.AD{Column: "invites.content", ID: [16]byte{1}}
	sealed := must[[]byte](b)(box.Seal(bytes.Repeat([]byte("x"), 256), ad))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := box.Open(sealed, ad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	box := newBox(b, newKeyset(b))
	b.ReportAllocs()
	for b.Loop() {
		box.Hash("email", "prj", "pat@customer.example")
	}
}

func TestSealOverheadIsWhatTheDocumentationSays(t *testing.T) {
	t.Parallel()
	box := newBox(t, newKeyset(t))
	for _, n := range []int{0, 1, 1000} {
		if sealed := must[[]byte](t)(box.Seal(make([]byte, n), seal.AD{Column: "t.c"})); len(sealed) != n+45 {
			t.Errorf("%d bytes seal to %d", n, len(sealed))
		}
	}
}

func TestSealedValuesNameTheirKey(t *testing.T) {
	t.Parallel()
	old := newKeyset(t)
	next := must[*seal.Keyset](t)(old.Rotate())
	a, b := newBox(t, old), newBox(t, next)
	ad := seal.AD{Column: "t.c"}
	sealed := must[[]byte](t)(a.Seal([]byte("x"), ad))
	if got := seal.SealedKeyID(sealed); got != a.SealKeyID() || got != old.IDs().Sealing[0] {
		t.Errorf("sealed under %d, the primary key is %d", got, a.SealKeyID())
	}
	plain, renewed, err := b.Renew(sealed, ad)
	if err != nil || string(plain) != "x" {
		t.Fatalf("Renew = %q, %v", plain, err)
	}
	if got := seal.SealedKeyID(renewed); got != b.SealKeyID() || got == a.SealKeyID() {
		t.Errorf("renewed under %d, the primary key is %d", got, b.SealKeyID())
	}
	if _, _, err := b.Renew(sealed, seal.AD{Column: "t.d"}); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another place: %v, want ErrOpen", err)
	}
	for _, not := range [][]byte{nil, {1, 2, 3, 4}, {2, 0, 0, 0, 1, 9}} {
		if got := seal.SealedKeyID(not); got != 0 {
			t.Errorf("%v is under key %d", not, got)
		}
	}
	ids := next.IDs()
	if len(ids.Sealing) != 2 || ids.Sealing[1] != a.SealKeyID() || len(ids.Hashing) != 2 || ids.Hashing[0] != b.HashKeyID() {
		t.Errorf("ids = %v", ids)
	}
}

func TestRetireSealingKeepsLookUps(t *testing.T) {
	t.Parallel()
	old := newKeyset(t)
	kept := newBox(t, must[*seal.Keyset](t)(must[*seal.Keyset](t)(old.Rotate()).RetireSealing()))
	before := newBox(t, old)
	ad := seal.AD{Column: "t.c"}
	if _, err := kept.Open(must[[]byte](t)(before.Seal([]byte("x"), ad)), ad); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("the retired sealing key opens: %v", err)
	}
	if hashes := kept.Hashes("k", "v"); len(hashes) != 2 || !bytes.Equal(hashes[1], before.Hash("k", "v")) {
		t.Error("the old hash is not found")
	}
}
