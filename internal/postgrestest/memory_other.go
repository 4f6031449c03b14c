//go:build !linux

package postgrestest

import "errors"

func freeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }
