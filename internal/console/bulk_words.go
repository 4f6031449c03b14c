package console

import (
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/bulk"
)

// bulkTitle is an act in words.
func (p *page) bulkTitle(act bulk.Act) string {
	switch act.Kind {
	case bulk.Resend:
		return p.t("Resend invites")
	case bulk.Switch:
		if act.Channel.Spec().Field == invite.FieldPhone {
			return p.t("Switch invites to SMS")
		}
		return p.t("Switch invites to email")
	case bulk.Correct:
		return p.t("Correct addresses")
	case bulk.Revoke:
		return p.t("Revoke invites")
	case bulk.Extend:
		return p.t("Extend invites to %s from now", p.lifeText(time.Duration(act.ValidForS)*time.Second))
	}
	return string(act.Kind)
}

// bulkButton is the button that confirms an act on n invites.
func (p *page) bulkButton(act bulk.Act, n int) string {
	switch act.Kind {
	case bulk.Switch:
		if act.Channel.Spec().Field == invite.FieldPhone {
			return p.frame.TN("Send %d invite by SMS", "Send %d invites by SMS", n)
		}
		return p.frame.TN("Send %d invite by email", "Send %d invites by email", n)
	case bulk.Correct:
		return p.frame.TN("Correct %d invite and resend", "Correct %d invites and resend", n)
	case bulk.Revoke:
		return p.frame.TN("Revoke %d invite", "Revoke %d invites", n)
	case bulk.Extend:
		return p.frame.TN("Extend %d invite", "Extend %d invites", n)
	case bulk.Resend:
	}
	return p.frame.TN("Resend %d invite", "Resend %d invites", n)
}

// bulkEffect is one sentence on what an act does to the people.
func (p *page) bulkEffect(act bulk.Act) string {
	switch act.Kind {
	case bulk.Correct:
		return p.t("The old links stop working. Each new address gets its own link.")
	case bulk.Revoke:
		return p.t("The links show that they were cancelled. This cannot be undone. Pipedream pages that are open stay open until they expire.")
	case bulk.Extend:
		lasts := time.Duration(act.ValidForS) * time.Second
		return p.t("Links in earlier messages keep working for %s from now on, until about %s UTC. Nothing is sent.", p.lifeText(lasts), act.Now.Add(lasts).UTC().Format(endLayout))
	case bulk.Resend, bulk.Switch:
	}
	return p.t("Links in earlier messages keep working, and their time starts again.")
}

// selected is how the invites of an act were selected, in words.
func (p *page) selected(selection string) string {
	how, filters, _ := strings.Cut(selection, " ")
	switch {
	case how == scopeTicked:
		return p.t("Ticked invites")
	case how == scopePage:
		return p.t("A page of the list")
	case how == "search":
		return p.t("All matches of a search")
	case how == bulkFile:
		return p.t("A file of corrections")
	case filters != "":
		return p.t("All matches of the filter: %s", strings.ReplaceAll(filters, " ", ", "))
	}
	return p.t("The whole list")
}

func (p *page) actBadge(s bulk.State) view.Badge {
	switch s {
	case bulk.Running:
		return view.Badge{Kind: "busy", Icon: "pulse", Text: p.t("In progress")}
	case bulk.Finished:
		return view.Badge{Kind: "good", Icon: "check", Text: p.t("Finished")}
	case bulk.Stopped:
		return view.Badge{Kind: "warn", Icon: "x", Text: p.t("Stopped")}
	case bulk.Draft:
	}
	return view.Badge{Kind: "calm", Icon: "eye", Text: p.t("Dry run")}
}

func (p *page) itemBadge(s bulk.ItemState) view.Badge {
	switch s {
	case bulk.Done:
		return view.Badge{Kind: "good", Icon: "check", Text: p.t("Done")}
	case bulk.Failed:
		return view.Badge{Kind: "bad", Icon: "alert", Text: p.t("Failed")}
	case bulk.LeftOut:
		return view.Badge{Kind: "calm", Icon: "ban", Text: p.t("Left out")}
	case bulk.NotBegun:
		return view.Badge{Kind: "warn", Icon: "x", Text: p.t("Not begun")}
	case bulk.Waiting:
	}
	return view.Badge{Kind: "busy", Icon: "clock", Text: p.t("Waiting")}
}

// plannedBadge is of an invite that a dry run would change.
func (p *page) plannedBadge() view.Badge {
	return view.Badge{Kind: "busy", Icon: "eye", Text: p.t("Will be changed")}
}

// bulkReason is why an invite is not changed, in words.
func (p *page) bulkReason(reason string) string {
	if limit, ok := strings.CutPrefix(reason, issue.ReasonLimitPrefix); ok {
		switch {
		case limit == "resends_per_invite":
			return p.t("Resent as often as the project allows")
		case limit == "spend_per_day":
			return p.t("The project's cost limit of the day is reached")
		case strings.HasPrefix(limit, "recipient") || strings.HasPrefix(limit, "user"):
			return p.t("The person was sent as many messages as the limit allows")
		case strings.HasPrefix(limit, "sms_"):
			return p.t("The limit of text messages to this country or range of numbers is reached")
		case strings.HasPrefix(limit, "key"):
			return p.t("You have sent as many messages today as the limit allows")
		}
		return p.t("The project's limit of messages of the day is reached")
	}
	words := map[string]string{
		"":                         "",
		issue.ReasonConnected:      view.M("Already connected"),
		issue.ReasonRevoked:        view.M("Already revoked"),
		issue.ReasonReplaced:       view.M("Replaced by a newer invite"),
		issue.ReasonExpired:        view.M("Expired; resend it instead"),
		issue.ReasonConnectLink:    view.M("The message has Pipedream's own link"),
		issue.ReasonLater:          view.M("Works longer than this already"),
		issue.ReasonScheduled:      view.M("Scheduled, not sent yet"),
		issue.ReasonGone:           view.M("Deleted or erased"),
		issue.ReasonUnreadable:     view.M("No longer readable"),
		issue.ReasonOptedOut:       view.M("The person opted out"),
		issue.ReasonSuppressed:     view.M("The address is blocked"),
		issue.ReasonTooSoon:        view.M("A message was sent a moment ago"),
		issue.ReasonPaused:         view.M("Messages there are paused"),
		issue.ReasonNoAddress:      view.M("No address for this channel"),
		issue.ReasonInvalidAddress: view.M("The address is not valid"),
		issue.ReasonNoConsent:      view.M("Consent to text messages is missing"),
		issue.ReasonNotListed:      view.M("The address is not on the list of allowed recipients"),
		issue.ReasonCountry:        view.M("The project sends no text messages to this country"),
		issue.ReasonNumberType:     view.M("This type of number cannot receive text messages"),
		issue.ReasonNeedsCode:      view.M("The invite asks for a code, which this channel cannot send"),
		issue.ReasonSameAddress:    view.M("The address is the same as before"),
		issue.ReasonSameChannel:    view.M("The last message used this channel"),
		issue.ReasonNoMessage:      view.M("Nothing is sent for invites by link"),
		issue.ReasonMintFailed:     view.M("Pipedream issued no connect link"),
		issue.ReasonUnavailable:    view.M("The service was not available"),
		issue.ReasonInternal:       view.M("An internal error; an operator finds it in the log"),
	}
	text, ok := words[reason]
	if !ok || text == "" {
		return reason
	}
	return p.t(text)
}

// bulkDoubt is a doubt to look at again before n invites are changed.
func (p *page) bulkDoubt(doubt string, n int) string {
	switch doubt {
	case issue.DoubtBounced:
		return p.frame.TN("%d address did not take the last message: it may not exist. Correct it instead.",
			"%d addresses did not take the last message: they may not exist. Correct them instead.", n)
	case issue.DoubtMailbox:
		return p.frame.TN("%d new address is a different mailbox. Check that it is the same person.",
			"%d new addresses are different mailboxes. Check that they are the same persons.", n)
	case issue.DoubtDomain:
		return p.frame.TN("%d new address has a domain that looks mistyped.", "%d new addresses have a domain that looks mistyped.", n)
	}
	return doubt
}

// lineFault is a fault of a line of a file of corrections, in words.
func (p *page) lineFault(f issue.LineFault) string {
	switch f.Code {
	case issue.LineUnreadable:
		return p.t("Line %d: it cannot be read. Check its quotation marks.", f.Line)
	case issue.LineCells:
		return p.t("Line %d: two values are needed, separated by a comma, a semicolon or a tab.", f.Line)
	case issue.LineAddress:
		return p.t("Line %d: the second value is neither an email address nor a phone number.", f.Line)
	case issue.LineUnknown:
		return p.t("Line %d: no invite here has this id, user id or address.", f.Line)
	case issue.LineArrived:
		return p.t("Line %d: every message to this user or address arrived. Use the invite's id to correct it all the same.", f.Line)
	case issue.LineMany:
		return p.t("Line %d: too many invites have this user id or address. Use the ids of the invites.", f.Line)
	case issue.LineTwice:
		return p.t("Line %d: line %d corrects the same invite.", f.Line, f.Other)
	}
	return string(f.Code)
}
