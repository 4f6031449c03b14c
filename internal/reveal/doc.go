// Package reveal shows staff what is otherwise masked: the addresses of one
// record, and an invite's own link for handing it over in person.
//
// Whatever it shows stands in the audit log first, in the same transaction: who
// saw what, when, and why where there is a choice of reasons. The entry holds
// ids only. The session that was shown a record may look at it again for a minute,
// so that a page can be reloaded: what allows it is that entry. It never shows a connect link, to anyone: that is a bearer
// credential of the person's account.
//
// It changes nothing but the log and the timeline, and sends nothing.
package reveal
