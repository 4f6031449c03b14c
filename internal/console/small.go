package console

import (
	"encoding/base64"
	"strconv"
	"time"
)

// formatSeconds is a Retry-After, rounded up.
func formatSeconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

func encodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decodeBase64(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
