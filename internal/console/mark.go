package console

import (
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/store/find"
)

// appMark is the picture of an app beside its name: its logo, or where there is none its
// first letter.
type appMark struct{ Logo, Initial string }

func (p *page) mark(inv find.Invite) appMark {
	m := appMark{Initial: message.Initial(inv.AppName)}
	if p.Logo != nil {
		m.Logo = p.Logo(inv.AppLogoURL)
	}
	return m
}
