// Package reseal renews values under old keys, so that those can be retired:
// sealed values are sealed with the primary key, and keyed hashes are computed with it.
// It owns the list of all columns that depend on a key, see tables.
//
// Renewing runs beside processes that serve. A batch is one short transaction over a
// range of blocks; rows that others hold are left to the next pass, and the cursor is
// stored with the batch, so that a run that was killed goes on where it was. Look-ups
// ask under every key of the keyset, so a row is found before and after its batch.
//
// # Hashes
//
// A hash is renewed from the sealed value that stands beside it, and only after that
// value has given the stored hash under the old key. Where a row has no such value,
// the hash waits for the end of the row; Status names these rows and the time. The
// suppressions of erased people keep a digest of the hashed text (see package
// suppression), so a STOP is never forgotten.
package reseal
