// Package find owns the reads: one invite, lists, timelines, deliveries.
//
// Inbound edges call it directly. It returns sealed values as they stand;
// Present opens them for callers that hold the key to do so. It writes
// nothing and takes no locks.
package find
