// Package export writes lists of invites to files for staff, as CSV and as JSON lines.
//
// It owns who may export, how much and how many at a time, the two formats, and the
// entries in the audit log. A list is read in batches of its keyset: memory does not
// grow with the list, and no transaction is open while a client reads. Rows come from
// the caller, who masks them; nothing here opens sealed data.
package export
