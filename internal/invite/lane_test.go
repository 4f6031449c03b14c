package invite_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	. "github.com/connectlink/connectlink/internal/invite"
)

func TestALaneIsReadBackFromItsName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := Place{Project: rapid.StringN(1, 40, -1).Draw(t, "project"), Live: rapid.Bool().Draw(t, "live")}.
			Lane(rapid.SampledFrom([]Channel{Email, SMS}).Draw(t, "channel"))
		if got, err := ParseLane(l.String()); err != nil || got != l {
			t.Errorf("%+v is named %q and read back as %+v, %v", l, l, got, err)
		}
	})
}

// The names stand in the database and in audit logs.
func TestNamesOfLanesStay(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]Lane{
		"default/email/live": Place{Project: "default", Live: true}.Lane(Email),
		"default/sms/test":   Place{Project: "default"}.Lane(SMS),
		"":                   {},
	} {
		if got := l.String(); got != want {
			t.Errorf("%+v is named %q, want %q", l, got, want)
		}
	}
}

func TestWhatNamesNoLaneIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "default", "default/email", "email/live", "/email/live", "default//live", "default/email/", "default/email/Live", "default/email/live/"} {
		if l, err := ParseLane(name); !errors.Is(err, ErrBadLane) || l != (Lane{}) {
			t.Errorf("%q is read as %+v, %v", name, l, err)
		}
	}
}
