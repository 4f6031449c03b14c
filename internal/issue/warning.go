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
}

// warnChanged is the code of a text that recipients read otherwise than it was sent.
const warnChanged = "text_changed"

// changed lists the texts of a create that recipients read otherwise.
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

// changedByResend does the same for what a resend brings itself.
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
	*w = append(*w, Warning{Pointer: pointer, Code: warnChanged, Detail: detail})
}

func pointers(list []Warning) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = w.Pointer
	}
	return out
}
