// Package suppress owns the use cases about addresses that are not to be
// written to: a message's fate that blocks its address, and seeing, adding and
// lifting blocks by hand.
//
// A suppression is checked twice, by the sender: when an invite is made or
// resent, and again in the transaction that begins an attempt, because an
// invite may wait for long. Both ask store/suppression themselves.
//
// Lifting a bounce removes the provider's own entry too, else the next message
// would be dropped there. An opt-out is never lifted here: only the person can,
// by texting START.
package suppress
