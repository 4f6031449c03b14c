// Package publish tells products what became of their invites: events out,
// signed as Standard Webhooks say, one URL per project.
//
// An event is enqueued in the transaction that made it true, so none is lost
// and none is sent that did not happen. It is delivered at least once, in no
// promised order: the higher data.invite.version of two is the newer one,
// and the webhook-id is the same in every attempt.
//
// The URL comes from configuration, but a name may resolve to anything: the
// address is checked after DNS, when the connection is made.
package publish
