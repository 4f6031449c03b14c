package bench

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc.
const tick = 10 * time.Millisecond

// CPUTime is the processor time that a process used so far. With children it
// includes the children that run and those that ended. It is 0 where the system
// has no /proc.
func CPUTime(pid int, children bool) time.Duration {
	sum := statOf(strconv.Itoa(pid))
	if !children {
		return sum.own
	}
	total := sum.own + sum.ended
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return total
	}
	for _, e := range entries {
		if child := statOf(e.Name()); child.parent == pid {
			total += child.own
		}
	}
	return total
}

// procStat is a process's line in /proc.
type procStat struct {
	parent     int
	own, ended time.Duration // of itself, and of its children that ended
}

func statOf(dir string) procStat {
	raw, err := os.ReadFile(filepath.Join("/proc", dir, "stat"))
	if err != nil {
		return procStat{}
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return procStat{}
	}
	parent, _ := strconv.Atoi(f[1])
	return procStat{parent: parent, own: sumTicks(f[11:13]), ended: sumTicks(f[13:15])}
}

func sumTicks(fields []string) time.Duration {
	var n int64
	for _, s := range fields {
		v, _ := strconv.ParseInt(s, 10, 64)
		n += v
	}
	return time.Duration(n) * tick
}

// machineTime is the processor time of the whole machine so far: the time in
// which processors worked, or were taken by another machine, and all time.
func machineTime() (busy, all time.Duration) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	f := strings.Fields(line)
	if len(f) < 9 {
		return 0, 0
	}
	all = sumTicks(f[1:9]) // user, nice, system, idle, iowait, irq, softirq, steal
	return all - sumTicks(f[4:6]), all
}

// FlushTime is the mean time in which the disk under a folder makes 8 KB durable.
func FlushTime(dir string) (time.Duration, error) {
	const flushes = 100
	f, err := os.CreateTemp(dir, "flush-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	page := make([]byte, 8192)
	begun := time.Now()
	for range flushes {
		if _, err := f.WriteAt(page, 0); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return time.Since(begun) / flushes, nil
}
