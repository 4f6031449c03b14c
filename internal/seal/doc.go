// Package seal turns what the service must not hold in the clear into bytes
// that only a process with the keyset can read or look up.
//
// It owns three things: sealing (authenticated encryption bound to a column
// and a row), keyed hashes for searching sealed values, and plain digests for
// secrets that carry enough entropy of their own. It owns the keyset too: how
// it is made, rotated, written down and read back.
//
// It must not know what it seals, talk to the database, log, or put a sealed
// value, a key or a plaintext in an error.
//
// # Choices
//
// Sealing is Tink's XAES-256-GCM with a 192-bit salt and nonce together: AES
// in hardware like plain AES-GCM, but a random nonce is safe for more messages
// than any table holds, so rotation is a matter of policy and never urgent.
// AES-256-GCM with its 96-bit nonce would want a new key after 2^32 seals.
//
// The associated data is the column's name, a colon and the row's 16 bytes.
// The id has a fixed length and stands last, so two different pairs can never
// make the same bytes; a value copied into another column or row does not open.
//
// Hashes are HMAC-SHA-256 as a Tink PRF, truncated to 16 bytes, with the key's
// id in front: equal input under one key gives equal bytes, which an index can
// find, and a list of addresses cannot be tried without the keyset. 128 bits
// are far beyond collisions among the rows of one table and keep the index
// small.
//
// # Rotation
//
// Both halves of a keyset rotate together. Rotate does it in one step, for a
// deployment that restarts as a whole. Where old and new processes run side by
// side, the old ones could not open what the new ones seal; there the steps
// are Introduce (deploy everywhere), Promote (deploy everywhere), and, once
// every row was re-hashed and old values are re-sealed or gone, Retire.
package seal
