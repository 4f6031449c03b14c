package devpg

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithThread has the kernel signal the child when the thread that starts it
// ends, at the latest with this process.
func dieWithThread(attr *syscall.SysProcAttr, hard bool) {
	attr.Pdeathsig = fastShutdown
	if hard {
		attr.Pdeathsig = syscall.SIGKILL
	}
}

// watchParent has nothing to add to the death signal.
func watchParent(int, account) (func(), error) { return func() {}, nil }

// servesFolder reports whether pid is a postmaster of this data folder: it keeps that
// as its working folder.
func servesFolder(pid int, data string) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	cwd, err := os.Readlink(proc + "/cwd")
	if err != nil {
		return false // gone, a zombie, or another user's: not ours in any case
	}
	real, err := filepath.EvalSymlinks(data)
	if err != nil || cwd != real {
		return false
	}
	exe, err := os.Readlink(proc + "/exe")
	// An upgraded package leaves "… (deleted)".
	return err == nil && len(filepath.Base(exe)) >= 8 && filepath.Base(exe)[:8] == "postgres"
}

// syncTree writes the folder's whole file system to disk: one call in place of
// a thousand.
func syncTree(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return unix.Syncfs(int(f.Fd()))
}
