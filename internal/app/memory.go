package app

import (
	"io/fs"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory has Go's collector keep the process within the memory limit of its control
// group, which ends a process that exceeds it. Linux tells no program of that limit. It
// returns the limit for the heap, an eighth below that of the group: stacks of threads and buffers of
// sockets need the rest. Where GOMEMLIMIT is set, or there is no limit, ok is false and nothing changes.
//
// root is the root of the file system.
func LimitMemory(root fs.FS, lookup func(string) (string, bool)) (bytes int64, ok bool) {
	if _, set := lookup("GOMEMLIMIT"); set {
		return 0, false
	}
	group, ok := findMemoryLimit(root)
	if !ok {
		return 0, false
	}
	bytes = group - group/8
	debug.SetMemoryLimit(bytes)
	return bytes, true
}

// noMemoryLimit is above any machine's memory: version 1 of control groups writes a number
// of this size for "no limit".
const noMemoryLimit = 1 << 60

// findMemoryLimit returns the lowest memory limit among the process's control group and
// those above it. See cgroups(7).
func findMemoryLimit(root fs.FS) (lowest int64, ok bool) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	lowest = noMemoryLimit
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path; version 2 has hierarchy 0 and no controllers
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch fields[1] {
		case "":
		case "memory":
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Join(mount, fields[2]); strings.HasPrefix(group, mount); group = path.Dir(group) {
			raw, err := fs.ReadFile(root, path.Join(group, file))
			if err != nil {
				continue // the root has none, and a container does not see those above its own
			}
			if n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && n > 0 {
				lowest = min(lowest, n)
			}
		}
	}
	return lowest, lowest < noMemoryLimit
}
