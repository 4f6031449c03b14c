// Package access defines permissions, and creates and parses every
// credential: API keys, invite codes, client tokens, callback secrets and
// webhook secrets.
//
// It owns their formats, the scopes of keys, the roles of staff and the
// Principal that use cases are handed. It must not store anything, look
// anything up, or know about HTTP.
//
// # API keys
//
// A key is 51 characters: "cl_test_" or "cl_live_", then 42 random base62
// characters (250.1 bits, each drawn without bias from crypto/rand), then one
// check character. The check character covers the mode too, so a key with one
// wrong character, or with its prefix changed from test to live, is recognised
// without asking the database; a leak scanner can search for
//
//	\bcl_(test|live)_[0-9A-Za-z]{43}\b
//
// and let ParseKey drop 61 of 62 accidental matches. It catches every single
// wrong character and every swap of neighbours but that of the first and the
// last symbol of the alphabet. It adds no secrecy: a wrong key whose check
// character fits is refused by the lookup.
//
// Only a digest is stored. With 250 random bits behind it, plain SHA-256 needs
// neither salt nor stretching.
package access
