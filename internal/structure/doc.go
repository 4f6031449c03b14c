// Package structure holds the tests that keep this repository in shape: which
// package may import which, what may stand only in one place, and that what the
// documents, the compose file and the generated tables say is what the code does.
//
// It has no code of its own, and nothing imports it.
package structure
