// Package erase owns the use cases about stored personal data: to export it,
// to erase it on request, and to delete it after its retention, here and at
// providers.
//
// # Erasing
//
// A person is an external user of one project and mode. Erasing ends open
// invites, through the ledger like every other end, and erases every sealed
// value in the same transaction: content, names, links, codes, provider
// messages and callbacks. The record that an invite existed remains, with its
// times, its app and its outcome; a keyed hash replaces the user's id, with
// which only this service's keyset can recognise an earlier erasure. A
// suppression remains too, as a keyed hash: erasing must not make us write
// again to a person who opted out.
//
// The transaction locks invites, then deliveries, like all others; so a call to
// a provider that is under way ends as it would have, and what it learns is
// recorded without its words (store/ledger, store/queue). What came meanwhile
// by ways that take no lock is swept up by a job some minutes later.
//
// # Providers
//
// Twilio keeps what it sent for over a year. Once an invite has ended and its
// texts are no longer on their way, their words are redacted there; of an erased
// person the record is deleted. SendGrid offers neither.
//
// # Retention
//
// Ended invites are deleted whole, in small batches, once they are older than
// their project keeps them. Blocks, keys and the audit log are not theirs.
//
// The package must not decide who may ask: the inbound edges do.
package erase
