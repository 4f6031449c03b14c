package postgrestest

import (
	"os"

	"golang.org/x/sys/unix"
)

func freeBytes(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	const tmpfs = 0x01021994
	if int64(st.Type) != tmpfs || unix.Access(path, unix.W_OK|unix.X_OK) != nil {
		return 0, unix.EACCES
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// bootID differs between two starts of the machine.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(b) < 8 {
		return ""
	}
	return string(b[:8])
}
