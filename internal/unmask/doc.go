// Package unmask unmasks values for staff: the addresses of one record, and
// an invite's own link for handing it over in person.
//
// Every access is recorded in the audit log first, in the same transaction: who, what, when, and the reason if
// there is a choice. The entry contains ids only. The session that unmasked a record may see it again for a
// minute, so that a page can be reloaded: that entry permits it. It never shows a connect link: that is a bearer
// credential of the person's account.
//
// It changes nothing but the log and the timeline, and sends nothing.
package unmask
