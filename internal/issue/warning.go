package issue

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
)

// Warning tells the author of an accepted request how it was changed.
type Warning struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
	// Changes are the pieces that were removed or altered, each with its cause.
	Changes []contact.Change `json:"changes"`
}

// warnChanged is the code of a text that recipients read differently.
const warnChanged = "text_changed"

// changed lists the texts of a create that recipients read differently.
func changed(req CreateRequest, o order) []Warning {
	var w warnings
	if req.Recipient != nil {
		w.compare("/recipient/name", req.Recipient.Name, o.content.Recipient.Name)
	}
	if req.Inviter != nil {
		w.compare("/inviter/name", req.Inviter.Name, o.content.Inviter)
	}
	w.compare("/reason", req.Reason, o.content.Reason)
	w.compare("/note", req.Note, o.content.Note)
	return w
}

// changedByResend does the same for the texts of a resend.
func changedByResend(req ResendRequest, project config.Project) []Warning {
	c := invite.Content{Note: contact.CleanPublic(req.Note, maxNote)}
	if req.Recipient != nil {
		c.Recipient.Name = contact.CleanPublic(req.Recipient.Name, maxName)
	}
	limitText(&c, project)
	var w warnings
	if req.Recipient != nil {
		w.compare("/recipient/name", req.Recipient.Name, c.Recipient.Name)
	}
	w.compare("/note", req.Note, c.Note)
	return w
}

type warnings []Warning

// compare adds a warning where shown is more than sent with other spacing and
// another composition of accents.
func (w *warnings) compare(pointer, sent, shown string) {
	if norm.NFC.String(strings.Join(strings.Fields(sent), " ")) == shown {
		return
	}
	detail := "recipients do not read this text: it is left out"
	if shown != "" {
		detail = fmt.Sprintf("recipients read %q; links, addresses, phone numbers and invisible characters are taken out, and a dot between two words gets a space", shown)
	}
	changes := append([]contact.Change{}, contact.Compare(sent, shown)...)
	if shown == "" && contact.CleanPublic(sent, maxReason) != "" {
		changes = []contact.Change{{Text: sent, Cause: contact.CauseFreeText}}
	}
	*w = append(*w, Warning{Pointer: pointer, Code: warnChanged, Detail: detail, Changes: changes})
}

func pointers(list []Warning) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = w.Pointer
	}
	return out
}
