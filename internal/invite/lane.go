package invite

import (
	"errors"
	"fmt"
	"strings"
)

// Lane is a queue of messages: those of one channel of a project in one mode. A
// delivery that is stuck in one does not delay those in another.
type Lane struct {
	Place
	Channel Channel
}

// ErrBadLane is returned when text names no lane.
var ErrBadLane = errors.New("not a lane")

// Lane is the lane of a channel.
func (p Place) Lane(ch Channel) Lane { return Lane{Place: p, Channel: ch} }

// String is a lane's name, as the database and the audit log hold it:
// "project/channel/mode". It is empty for the zero lane.
func (l Lane) String() string {
	if l == (Lane{}) {
		return ""
	}
	return l.Project + "/" + string(l.Channel) + "/" + l.Mode()
}

// ParseLane reads what String writes.
func ParseLane(s string) (Lane, error) {
	rest, mode, _ := cutLast(s)
	project, channel, ok := cutLast(rest)
	l := Lane{Place: Place{Project: project, Live: mode == "live"}, Channel: Channel(channel)}
	if !ok || project == "" || channel == "" || mode != l.Mode() {
		return Lane{}, fmt.Errorf("%w: %q is not project/channel/mode", ErrBadLane, s)
	}
	return l, nil
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// ScanText implements pgtype.TextScanner; SQL NULL and an empty text become the
// zero lane.
func (l *Lane) ScanText(v pgText) (err error) {
	*l = Lane{}
	if v.String != "" {
		*l, err = ParseLane(v.String)
	}
	return err
}

// TextValue implements pgtype.TextValuer.
func (l Lane) TextValue() (pgText, error) { return pgText{String: l.String(), Valid: true}, nil }
