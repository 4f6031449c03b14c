//go:build unix

package devpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user the server runs as. other says that it is not ours.
type account struct {
	uid, gid int
	name     string
	other    bool
}

// ServerUser returns the ids of the user that servers run as: our own, except for
// root, as which PostgreSQL does not run.
func ServerUser() (uid, gid int, err error) {
	who, err := serverAccount()
	return who.uid, who.gid, err
}

// serverAccount picks the user: ourselves, except for root.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if errors.Join(err1, err2) == nil && uid > 0 {
			return account{uid: uid, gid: gid, name: name, other: true}, nil
		}
	}
	return account{}, errors.New("devpg: PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as: start this as an ordinary user")
}

// attr drops to the account. Groups are set too, else root's would stay.
func (a account) attr() *syscall.SysProcAttr {
	if !a.other {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: []uint32{uint32(a.gid)},
	}}
}

// own hands a folder of ours to the account.
func (a account) own(dir string) error {
	if !a.other {
		return nil
	}
	return os.Chown(dir, a.uid, a.gid)
}

// knownHome is where the cluster is, or would be first tried.
func knownHome(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "location"))
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", fmt.Errorf("devpg: read the cluster's location: %w", err)
	}
	home := strings.TrimSpace(string(b))
	if _, err := os.Stat(home); err != nil {
		return "", fmt.Errorf("devpg: %s says that the data is in %s: %w", filepath.Join(dir, "location"), home, err)
	}
	return home, nil
}

// chooseHome settles where a new cluster goes.
func chooseHome(ctx context.Context, p Params, bin Binaries, who account) (string, error) {
	dir := p.Dir
	if !who.other {
		return dir, nil
	}
	// Walking through is all the server's user may do here.
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("devpg: open the cluster's folder for user %s: %w", who.name, err)
	}
	if canEnter(ctx, dir, bin, who) == nil {
		return dir, nil
	}
	if home, err := knownHome(dir); err == nil && home != dir && canEnter(ctx, home, bin, who) == nil {
		return home, nil // chosen by a start that ended before it had initialised
	}
	if err := os.MkdirAll(p.Elsewhere, 0o711); err != nil {
		return "", fmt.Errorf("devpg: user %s cannot enter %s: %w", who.name, dir, err)
	}
	home, err := os.MkdirTemp(p.Elsewhere, "dev-")
	if err != nil {
		return "", fmt.Errorf("devpg: user %s cannot enter %s: %w", who.name, dir, err)
	}
	if err := os.Chmod(home, 0o711); err != nil {
		return "", fmt.Errorf("devpg: open the cluster's folder: %w", err)
	}
	if err := canEnter(ctx, home, bin, who); err != nil {
		return "", fmt.Errorf("devpg: user %s can use neither %s nor %s with the server in %s: %w", who.name, dir, home, bin.Dir, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "location"), []byte(home+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("devpg: remember the cluster's location: %w", err)
	}
	p.Log.Info("the state folder is closed to the user PostgreSQL runs as; the data is kept elsewhere",
		"user", who.name, "dir", dir, "data", home)
	return home, nil
}

// canEnter tries it rather than reading mode bits, which know nothing of ACLs,
// capabilities and mount options: the child changes its user first and its
// folder second, then runs the very program that will serve.
func canEnter(ctx context.Context, dir string, bin Binaries, who account) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bin.Dir, "postgres"), "--version")
	cmd.SysProcAttr, cmd.Dir, cmd.Env = who.attr(), dir, []string{"LC_ALL=C"}
	return cmd.Run()
}

// maxSocketPath leaves room for the terminating zero in macOS's 104 bytes;
// Linux has 108.
const maxSocketPath = 103

// socketDir makes the folder for the socket: inside home, or if that path is
// too long for a socket in the temporary folder, under a name derived from
// home. Only the server's user (and root) can enter it. That is the access
// control: the server trusts every user who can.
func socketDir(home string, who account) (string, error) {
	fits := func(dir string) bool { return len(dir)+len("/.s.PGSQL."+port) <= maxSocketPath }
	dir := filepath.Join(home, "run")
	if !fits(dir) {
		sum := sha256.Sum256([]byte(home))
		name := "connectlink-" + hex.EncodeToString(sum[:8])
		if dir = filepath.Join(os.TempDir(), name); !fits(dir) {
			dir = filepath.Join("/tmp", name)
		}
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = who.own(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("devpg: make the socket's folder: %w", err)
	}
	// The temporary folder is shared: a folder of this name owned by another
	// user would expose the database.
	st, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("devpg: look at the socket's folder: %w", err)
	}
	owner := -1
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		owner = int(sys.Uid)
	}
	if owner == os.Geteuid() && st.IsDir() { // left by a start that died between Mkdir and Chown
		if err := who.own(dir); err != nil {
			return "", fmt.Errorf("devpg: hand over the socket's folder: %w", err)
		}
		owner = who.uid
	}
	if !st.IsDir() || owner != who.uid || st.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("devpg: %s is not a private folder of user id %d (%s, user id %d): remove it", dir, who.uid, st.Mode(), owner)
	}
	return dir, nil
}
