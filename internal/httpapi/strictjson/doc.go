// Package strictjson reads a request's body into a struct and refuses what
// encoding/json lets pass: members that the struct does not have (also when
// only upper and lower case differ), members given twice, text after the
// value, invalid UTF-8, unpaired surrogates and NUL. It reports every fault
// of a body at once, with its place as a JSON Pointer (RFC 6901).
//
// It owns syntax and shape. It must not know what a value means: ranges and
// choices belong to the use case. No message repeats a value, because a value
// may be an address or a token.
//
// Two steps: parse builds a small tree (syntax; one fault ends it), bind lays
// the tree over the struct by its json tags (shape; all faults are gathered).
// null stands for a member that was left out, as many clients write it.
package strictjson
