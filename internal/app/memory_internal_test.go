package app

import (
	"testing"
	"testing/fstest"
)

func TestMemoryLimitIsTheLowestOfTheGroupAndThoseAboveIt(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	for name, c := range map[string]struct {
		root fstest.MapFS
		want int64
	}{
		"version 2": {fstest.MapFS{
			"proc/self/cgroup":                                       file("0::/app.slice/connectlink.service"),
			"sys/fs/cgroup/app.slice/memory.max":                     file("1073741824"),
			"sys/fs/cgroup/app.slice/connectlink.service/memory.max": file("67108864"),
		}, 64 << 20},
		"the group above is lower": {fstest.MapFS{
			"proc/self/cgroup":                                       file("0::/app.slice/connectlink.service"),
			"sys/fs/cgroup/app.slice/memory.max":                     file("67108864"),
			"sys/fs/cgroup/app.slice/connectlink.service/memory.max": file("max"),
		}, 64 << 20},
		"a container's namespace": {fstest.MapFS{"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("67108864")}, 64 << 20},
		"version 1": {fstest.MapFS{
			"proc/self/cgroup":                           file("5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("67108864"), // as a container mounts it
		}, 64 << 20},
		"version 1 without a limit": {fstest.MapFS{"proc/self/cgroup": file("4:memory:/"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712")}, 0},
		"no limit":                  {fstest.MapFS{"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("max")}, 0},
		"macOS":                     {fstest.MapFS{}, 0},
	} {
		got, ok := findMemoryLimit(c.root)
		if ok != (c.want > 0) || ok && got != c.want {
			t.Errorf("%s: %d, %t; want %d", name, got, ok, c.want)
		}
	}
}

func TestMemoryLimitOfTheEnvironmentIsKept(t *testing.T) {
	t.Parallel()
	root := fstest.MapFS{"proc/self/cgroup": {Data: []byte("0::/\n")}, "sys/fs/cgroup/memory.max": {Data: []byte("67108864\n")}}
	if bytes, ok := LimitMemory(root, func(string) (string, bool) { return "400MiB", true }); ok {
		t.Errorf("set to %d although GOMEMLIMIT is set", bytes)
	}
}

func TestDescriptorsAreSharedSoThatTheDatabaseHasItsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit uint64
		want  descriptorShares
	}{
		{10, descriptorShares{clients: 4, sends: 4, lane: 4, scarce: true}},
		{64, descriptorShares{clients: 4, sends: 6, lane: 4, scarce: true}},
		{1024, descriptorShares{clients: 164, sends: 246, lane: 61, scarce: true}},
		{65536, descriptorShares{clients: 10916, sends: 512, lane: 128}},
		{1 << 62, descriptorShares{clients: 1 << 20 / 6, sends: 512, lane: 128}},
	} {
		if got := shareDescriptors(c.limit, 20); got != c.want {
			t.Errorf("of %d: %+v, want %+v", c.limit, got, c.want)
		}
	}
}
