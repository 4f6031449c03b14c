// Package endpoint stores webhook endpoints, the events that wait for them, and the
// attempts to post those. It opens nothing that is sealed and decides no schedule:
// package publish does.
//
// A delivery is claimed for the length of a lease by the database's clock. A process
// that lost its lease may have posted the event, and another posts it again: receivers
// drop copies by webhook-id. What a claim learnt is recorded only while no later claim
// has begun.
package endpoint
