// Package testsend is the use case in which members of staff send a message to their own
// address, to see it in their own mailbox.
//
// A test send is no invite and never becomes one: its link opens a page that says that it
// is a sample, its provider's reports are dropped, and nothing counts it but the limits
// here. The address is the account's, so that a caller cannot name another one. The provider
// is called once, within the request: the attempt is committed before the call, no queue
// repeats it, and a form that is posted again is answered with the same result.
//
// The pauses of a channel, suppressions, circuit breakers and rate limits of provider accounts hold
// as for invites; they are read from the database at each send, and without it nothing is
// sent. A test send changes none of them: its failures open no breaker, and no open one is
// probed with it.
package testsend
