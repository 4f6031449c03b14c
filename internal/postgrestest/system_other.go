//go:build !linux

package postgrestest

import "errors"

func freeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }

// bootID is not known; a folder that went bad is removed by hand.
func bootID() string { return "" }
