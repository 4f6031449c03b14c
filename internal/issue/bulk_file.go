package issue

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/secret"
)

// LineFault is a fault of a line of a file of corrections.
type LineFault struct {
	Line int
	Code LineCode
	// Other is the earlier line, with LineTwice.
	Other int
}

// LineCode names a fault of a line.
type LineCode string

// The faults of lines.
const (
	LineUnreadable LineCode = "unreadable" // no UTF-8, or quotes that do not match
	LineCells      LineCode = "cells"      // not two values
	LineAddress    LineCode = "address"    // neither an email address nor a phone number
	LineUnknown    LineCode = "unknown"    // no invite here has this id, user or address
	LineArrived    LineCode = "arrived"    // each message arrived, so the line must name the invite
	LineMany       LineCode = "many"       // too many invites have this user or address
	LineTwice      LineCode = "twice"      // an earlier line corrects the same invite
)

const (
	// MaxCorrections is the size of a file of corrections, in bytes.
	MaxCorrections = 1 << 20
	// usersAtOnce is how many users are looked up at a time, and invitesOfUsers how many invites
	// they may have together.
	usersAtOnce    = 100
	invitesOfUsers = 5000
	// invitesOfAddress is how many invites an old address may have.
	invitesOfAddress = 100
)

// correction is a line of the file.
type correction struct {
	line    int
	who     string
	address string
}

// ReadCorrections reads a file of corrections: in each line an invite's id, a user's id or the old address, and the new
// address, separated by a comma, a semicolon or a tab. A user's id and an old address stand for all of
// their invites whose message did not arrive. Either the targets are complete, or the faults of all lines
// are returned. Errors: *BulkSizeError.
func (s *Service) ReadCorrections(ctx context.Context, p access.Principal, text string) ([]BulkTarget, []LineFault, error) {
	project, err := s.project(p)
	if err != nil {
		return nil, nil, err
	}
	lines, faults := readLines(text, p, project)
	if most := MaxBulkOf(p); len(lines)+len(faults) > most {
		return nil, nil, &BulkSizeError{most}
	}
	found, err := s.findCorrected(ctx, p, lines)
	if err != nil {
		return nil, nil, err
	}
	var targets []BulkTarget
	first := map[invite.ID]int{}
	for i, l := range lines {
		if found[i].fault != "" {
			faults = append(faults, LineFault{Line: l.line, Code: found[i].fault})
			continue
		}
		for _, id := range found[i].invites {
			if other, twice := first[id]; twice {
				faults = append(faults, LineFault{Line: l.line, Code: LineTwice, Other: other})
				break
			}
			first[id] = l.line
			targets = append(targets, BulkTarget{Invite: id, Line: l.line, Address: secret.New(l.address)})
		}
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b LineFault) int { return cmp.Compare(a.Line, b.Line) })
		return nil, faults, nil
	}
	return targets, nil, nil
}

// readLines reads the lines of a file; empty ones and a head count for nothing.
func readLines(text string, p access.Principal, project config.Project) (out []correction, faults []LineFault) {
	text = strings.TrimPrefix(text, "\ufeff")
	n, begun := 0, false
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if strings.Trim(line, ",;\t ") == "" {
			continue
		}
		cells, ok := splitLine(line)
		head := !begun
		begun = true
		switch {
		case !ok:
			faults = append(faults, LineFault{Line: n, Code: LineUnreadable})
			continue
		case len(cells) != 2 || cells[0] == "" || cells[1] == "":
			faults = append(faults, LineFault{Line: n, Code: LineCells})
			continue
		case head && isHead(cells):
			continue
		}
		address, ok := readAddress(cells[1], p, project)
		if !ok {
			faults = append(faults, LineFault{Line: n, Code: LineAddress})
			continue
		}
		out = append(out, correction{n, cells[0], address})
	}
	return out, faults
}

// isHead reports whether a line names columns: its second cell has neither an @ nor a digit.
func isHead(cells []string) bool {
	return !strings.Contains(cells[1], "@") && !strings.ContainsFunc(cells[1], unicode.IsDigit)
}

// splitLine returns the cells of a line without the apostrophe that our own files put before
// values that are no formulas.
func splitLine(line string) ([]string, bool) {
	if !utf8.ValidString(line) {
		return nil, false
	}
	separator := ','
	for _, r := range line {
		if r == ',' || r == ';' || r == '\t' {
			separator = r
			break
		}
	}
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = separator, -1, separator != '\t'
	cells, err := r.Read()
	if err != nil {
		return nil, false
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	for i, c := range cells {
		c = strings.TrimSpace(c)
		if rest, ok := strings.CutPrefix(c, "'"); ok && rest != "" && strings.ContainsRune("=+-@", rune(rest[0])) {
			c = rest
		}
		cells[i] = c
	}
	for len(cells) > 2 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	return cells, true
}

// fieldOf is the field of a recipient that an address belongs to.
func fieldOf(address string) invite.Field {
	if strings.Contains(address, "@") {
		return invite.FieldEmail
	}
	return invite.FieldPhone
}

func readAddress(text string, p access.Principal, project config.Project) (string, bool) {
	if fieldOf(text) == invite.FieldEmail {
		email, err := contact.ReadEmail(text)
		if err == nil && !p.Live {
			err = sandbox.CheckEmail(email)
		}
		return email, err == nil
	}
	parse := contact.ParsePhone
	if !p.Live {
		parse = contact.ParsePhoneTest
	}
	phone, err := parse(text, project.Brand.Region)
	return phone.E164, err == nil
}
