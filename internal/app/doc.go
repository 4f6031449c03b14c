// Package app wires a process together: New opens what it needs, Run blocks
// until it ends. The commands boot it, and so do end-to-end tests.
//
// It is the only place that knows every package. It holds no logic: a
// decision that is made here belongs further down.
package app
