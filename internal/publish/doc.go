// Package publish tells products what became of their invites: events out,
// signed as Standard Webhooks say, one URL per project.
//
// An event is enqueued in the transaction that made it true, so none is lost
// and none is told that did not happen. It is delivered at least once, in no
// promised order: data.invite.version says which of two is newer, and the
// webhook-id is the same in every try.
//
// The URL comes from configuration, but a name may resolve to anything: the
// address is checked after DNS, when the connection is made.
package publish
