//go:build !linux

package postgres

import "syscall"

// setUserTimeout does nothing: TCP_USER_TIMEOUT is Linux's. The limits of
// statements and reads hold everywhere.
func setUserTimeout(string, string, syscall.RawConn) error { return nil }
