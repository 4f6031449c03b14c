package console

import (
	"encoding/base64"
	"strconv"
	"time"
)

// seconds is a Retry-After, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decoded(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
