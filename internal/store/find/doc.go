// Package find owns the reads: one invite, lists, timelines, deliveries.
//
// Inbound edges call it directly. It returns sealed values as they stand; Open
// opens an invite's content for callers that hold the key to do so, and package
// resource gives an invite its public shape. It writes nothing and takes no locks.
package find
