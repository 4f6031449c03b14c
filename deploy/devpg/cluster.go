//go:build unix

package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

type cluster struct {
	home, data, socket string
	bin                Binaries
	who                account
	params             Params
}

// dataMajor reads which PostgreSQL made the data; 0 means there is none.
func dataMajor(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(data)
		if err == nil && len(entries) > 0 {
			return 0, fmt.Errorf("devpg: %s holds files but no PG_VERSION: it is not a whole PostgreSQL data folder, and it is not ours to empty", data)
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("devpg: read the data's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("devpg: unreadable PG_VERSION %q in %s", b, data)
	}
	return major, nil
}

// initialise makes the data folder beside its place and renames it when it is
// whole and on disk: a start that dies half-way leaves nothing that looks like
// a cluster.
func (c cluster) initialise(ctx context.Context) error {
	leftovers, _ := filepath.Glob(filepath.Join(c.home, "init-*")) // constant pattern under a path without specials at worst finds none
	for _, dir := range leftovers {
		_ = os.RemoveAll(dir)
	}
	tmp, err := os.MkdirTemp(c.home, "init-")
	if err != nil {
		return fmt.Errorf("devpg: make the data folder: %w", err)
	}
	if err := c.who.own(tmp); err != nil {
		return fmt.Errorf("devpg: hand over the data folder: %w", err)
	}
	name, args := "initdb", []string{
		"--pgdata=" + tmp, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync",
	}
	if c.params.From != "" {
		name, args = "pg_basebackup", []string{"--pgdata=" + tmp, "--dbname=" + c.params.From, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin.Dir, name), args...)
	cmd.SysProcAttr, cmd.Dir, cmd.Env = c.who.attr(), c.home, c.environ()
	dieWithThread(cmd.SysProcAttr, true)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	runtime.LockOSThread() // see dieWithThread
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		_ = os.RemoveAll(tmp)
		return fmt.Errorf("devpg: %s in %s: %w\n%s", name, c.home, err, lastLines(out.Bytes()))
	}
	if !c.params.NoSync {
		if err := syncTree(tmp); err != nil {
			return fmt.Errorf("devpg: write the new cluster to disk: %w", err)
		}
	}
	if err := os.Rename(tmp, c.data); err != nil {
		return fmt.Errorf("devpg: put the data folder in place: %w", err)
	}
	if !c.params.NoSync {
		if err := syncTree(c.home); err != nil {
			return fmt.Errorf("devpg: write the new cluster to disk: %w", err)
		}
	}
	return nil
}

// settings are the server's. Memory is kept small: this stands beside an
// editor and a browser. Statements and the details of errors hold what people
// typed in, so they stay out of the log.
func (c cluster) settings() []string {
	set := map[string]string{
		"listen_addresses":         "",
		"unix_socket_directories":  c.socket,
		"unix_socket_permissions":  "0700",
		"port":                     port,
		"cluster_name":             "connectlink",
		"max_connections":          "100",
		"shared_buffers":           "32MB",
		"max_wal_size":             "256MB",
		"min_wal_size":             "64MB",
		"wal_level":                "minimal",
		"max_wal_senders":          "0",
		"autovacuum_max_workers":   "2",
		"jit":                      "off",
		"huge_pages":               "off",
		"timezone":                 "UTC",
		"log_timezone":             "UTC",
		"logging_collector":        "off",
		"log_destination":          "stderr",
		"log_min_error_statement":  "panic",
		"log_error_verbosity":      "terse",
		"log_parameter_max_length": "0",
		"log_checkpoints":          "off",
		"restart_after_crash":      "on",

		"max_prepared_transactions": "0",
	}
	maps.Copy(set, c.params.Settings)
	args := []string{"-D", c.data}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		args = append(args, "-c", k+"="+set[k])
	}
	return args
}

// environ is our environment without what would bend the server or initdb.
func (c cluster) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "LC_") ||
			name == "LANG" || name == "LANGUAGE" || name == "TZ" ||
			// Secrets of the product's configuration have no business in a
			// process that runs as another user.
			strings.HasPrefix(name, "CONNECTLINK_") || strings.HasPrefix(name, "PIPEDREAM_") ||
			strings.HasPrefix(name, "SENDGRID_") || strings.HasPrefix(name, "TWILIO_") || strings.HasPrefix(name, "SMTP_")
	})
	return append(env, "LC_ALL=C")
}

// lastLines is what fits into an error message.
func lastLines(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) > 8 {
		lines = lines[len(lines)-8:]
	}
	return strings.Join(lines, "\n")
}
