//go:build !linux

package chaos

import "syscall"

// endWithParent does nothing: only Linux signals the children of a process that died.
func endWithParent(*syscall.SysProcAttr) {}
