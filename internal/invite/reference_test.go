package invite_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connectlink/connectlink/internal/invite"
)

func TestReferenceNamesTheSecondAndTheEndOfAnID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		made := time.Unix(rapid.Int64Range(1_760_000_000, 2_500_000_000).Draw(t, "made"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		age := time.Duration(rapid.Int64Range(0, int64(3*invite.ReferenceFor)).Draw(t, "age"))
		u := invite.From[invite.ID](made).UUID()
		u[14], u[15] = rapid.Byte().Draw(t, "14"), rapid.Byte().Draw(t, "15")
		id := invite.OfUUID[invite.ID](u)
		text := invite.ReferenceOf(id)
		if len(text) != 9 || text[4] != '-' {
			t.Fatalf("%q", text)
		}
		for _, written := range []string{text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""), strings.ReplaceAll(text, "-", " "), strings.NewReplacer("0", "o", "1", "L").Replace(text)} {
			r, err := invite.ParseReference(written)
			if err != nil {
				t.Fatalf("%q: %v", written, err)
			}
			if !bytes.Equal(r.Tail(), u[14:]) {
				t.Errorf("%q: the end is %x, want %x", written, r.Tail(), u[14:])
			}
			seconds, found := r.Seconds(made.Add(age), 4), false
			for i, at := range seconds {
				found = found || at.Unix() == made.Unix()
				if at.After(made.Add(age)) || i > 0 && seconds[i-1].Sub(at) != invite.ReferenceFor {
					t.Errorf("%q: seconds %v at %v", written, seconds, made.Add(age))
				}
			}
			if !found {
				t.Errorf("%q: %v does not have %v", written, seconds, made)
			}
		}
	})
}

func TestReferencesOfOneMinuteDoNotLookAlike(t *testing.T) {
	t.Parallel()
	at, beginnings := time.Unix(1_790_000_000, 0), map[string]int{}
	for i := range 60 {
		beginnings[invite.ReferenceOf(invite.From[invite.ID](at.Add(time.Duration(i) * time.Second)))[:2]]++
	}
	if len(beginnings) < 40 {
		t.Errorf("60 references have %d beginnings", len(beginnings))
	}
}

func TestParseReferenceRefusesOtherTexts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "7KQ4-XM2", "7KQ4-XM2PA", "7KQ4-XM2U", "7KQ4.XM2P", "ünï", "inv_06h26rceq5pi900n792dt8oh84"} {
		if r, err := invite.ParseReference(text); !errors.Is(err, invite.ErrBadReference) {
			t.Errorf("%q is read as %+v, %v", text, r, err)
		}
	}
}
