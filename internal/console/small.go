package console

import (
	"strconv"
	"time"
)

// formatSeconds is a Retry-After, rounded up.
func formatSeconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
