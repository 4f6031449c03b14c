//go:build unix && !linux

package devpg

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dieWithThread: only Linux has death signals.
func dieWithThread(*syscall.SysProcAttr, bool) {}

// watchParent leaves a shell reading from a pipe that ends with this process
// and then ends the server. It runs as the server's user, in its own session.
func watchParent(pid int, who account) (func(), error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	cmd := exec.Command("/bin/sh", "-c", `trap '' INT HUP; while read -r line; do [ "$line" = bye ] && exit; done; kill -INT "$0"`, strconv.Itoa(pid))
	cmd.SysProcAttr, cmd.Stdin, cmd.Dir = who.attr(), r, "/"
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return func() {
		_, _ = w.WriteString("bye\n") // the pid may be another's by the time the pipe closes
		_ = w.Close()
		_ = cmd.Wait()
	}, nil
}

// servesFolder reports whether pid is a server started for this data folder: settings()
// puts the folder on its command line.
func servesFolder(pid int, data string) bool {
	out, err := exec.Command("/bin/ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres -D "+data+" ")
}

// syncTree flushes every file.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || (!d.IsDir() && !d.Type().IsRegular()) {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = f.Sync()
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}
