// Package providertest holds what every sender must do, run against each of them.
//
// The point of a sender is not that it sends, but that it never says "not sent"
// of a message a vendor may have taken, and never "unknown" of one that cannot
// have left: the first sends twice, the second waits for a person. The suite
// proves both on real sockets, failing in each way a network can.
package providertest
