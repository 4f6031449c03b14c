package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/processtest"
)

// patroni is a cluster of three PostgreSQL servers under Patroni, with one etcd, and a
// haproxy that leads to the primary.
type patroni struct {
	dir, bin string
	uid, gid int
	etcd     *process
	haproxy  *process
	etcdAddr string
	address  string // of haproxy
	nodes    []*node
}

// node is a server with its Patroni. All that it has to do with others goes through
// proxies, which are its network.
type node struct {
	name       string
	postgres   string // address of the server, for clients
	rest       string // address of Patroni's API, for haproxy
	config     string // file
	data       string
	supervisor *process
	// The proxies to the etcd, from the standbys, and from clients and haproxy.
	toEtcd, fromPeers, toServer, toRest *proxy
}

// cut silences the node's network, or a part of it: the way to etcd and the one on which
// standbys follow, and with clients true also those from clients and haproxy.
func (n *node) cut(clients bool) {
	n.toEtcd.set(silent)
	n.fromPeers.set(silent)
	if clients {
		n.toServer.set(silent)
		n.toRest.set(silent)
	}
}

// mend ends a cut.
func (n *node) mend() {
	for _, p := range n.proxies() {
		p.set(fair)
	}
}

func (n *node) proxies() []*proxy { return []*proxy{n.toEtcd, n.fromPeers, n.toServer, n.toRest} }

// url leads to the node's server itself.
func (n *node) url() string { return databaseURL(n.postgres) }

// formWithin bounds the making of a cluster, the promotion of a standby, and the return of
// a node. Making one takes 8 s, and more than a minute where much else runs.
const formWithin = 3 * time.Minute

// newPatroni starts a cluster in a folder and waits until it is whole.
func newPatroni(ctx context.Context, dir string) (_ *patroni, err error) {
	bin, err := devpg.Find(ctx, os.LookupEnv, "", 0)
	if err != nil {
		return nil, err
	}
	c := &patroni{dir: dir, bin: bin.Dir}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if c.uid, c.gid, err = devpg.ServerUser(); err != nil {
		return nil, err
	}
	if err := c.startEtcd(); err != nil {
		return nil, err
	}
	for _, name := range []string{"one", "two", "three"} {
		n, err := c.configure(name)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
		if err := c.startNode(n); err != nil {
			return nil, err
		}
	}
	if err := c.startHAProxy(); err != nil {
		return nil, err
	}
	return c, c.whole(ctx)
}

func (c *patroni) startEtcd() (err error) {
	if c.etcdAddr, err = processtest.FreeAddress(); err != nil {
		return err
	}
	peer, err := processtest.FreeAddress()
	if err != nil {
		return err
	}
	data, err := c.folder("etcd")
	if err != nil {
		return err
	}
	c.etcd, err = c.daemon("etcd", nil, "etcd", "--data-dir="+data, "--unsafe-no-fsync",
		"--listen-client-urls=http://"+c.etcdAddr, "--advertise-client-urls=http://"+c.etcdAddr,
		"--listen-peer-urls=http://"+peer, "--initial-advertise-peer-urls=http://"+peer, "--initial-cluster=default=http://"+peer)
	return err
}

// patroniConfig is what docs/scaling.md recommends, but for shorter times (the run is
// to be short), trust in place of passwords, and servers that do not flush: only
// processes die here, not the machine.
const patroniConfig = `scope: connectlink
name: %[1]s
restapi:
  listen: %[2]s
  connect_address: %[9]s
etcd3:
  proxy: http://%[3]s # not host: Patroni would ask etcd for its own address, and go there
bootstrap:
  dcs:
    ttl: 6
    loop_wait: 1
    retry_timeout: 2
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters:
        max_connections: 150
        fsync: "off"
        shared_buffers: 32MB
  initdb:
    - encoding: UTF8
    - locale: C
    - auth: trust
postgresql:
  listen: %[4]s
  connect_address: %[10]s
  data_dir: %[5]s
  bin_dir: %[6]s
  pgpass: %[7]s
  authentication:
    superuser: {username: postgres}
    replication: {username: replicator}
    rewind: {username: postgres}
  parameters:
    unix_socket_directories: %[8]s
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 trust
    - host replication all 127.0.0.1/32 trust
`

// configure writes a node's file.
func (c *patroni) configure(name string) (*node, error) {
	home, err := c.folder(name)
	if err != nil {
		return nil, err
	}
	n := &node{name: name, config: filepath.Join(home, "patroni.yaml"), data: filepath.Join(home, "data")}
	postgres, err := processtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	rest, err := processtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	for to, p := range map[string][]**proxy{c.etcdAddr: {&n.toEtcd}, postgres: {&n.fromPeers, &n.toServer}, rest: {&n.toRest}} {
		for _, p := range p {
			if *p, err = newProxy("tcp", to); err != nil {
				return nil, err
			}
		}
	}
	n.postgres, n.rest = n.toServer.addr(), n.toRest.addr()
	text := fmt.Sprintf(patroniConfig, name, rest, n.toEtcd.addr(), postgres, n.data, c.bin, filepath.Join(home, "pgpass"), home, n.rest, n.fromPeers.addr())
	return n, os.WriteFile(n.config, []byte(text), 0o644) //nolint:gosec // the servers' user reads it; it holds no secret
}

// startNode starts a node's Patroni, which starts its server.
func (c *patroni) startNode(n *node) (err error) {
	n.supervisor, err = c.daemon(n.name, []string{"PATH=" + c.bin + ":" + os.Getenv("PATH")}, "patroni", n.config)
	return err
}

// haproxyConfig is what docs/scaling.md recommends: the server whose Patroni calls itself
// the primary gets the connections, and those to a server that no longer does are ended.
const haproxyConfig = `
global
    maxconn 1000
defaults
    mode tcp
    timeout connect 2s
    timeout client 30m
    timeout server 30m
    timeout check 1s
listen primary
    bind %s
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
`

func (c *patroni) startHAProxy() (err error) {
	if c.address, err = processtest.FreeAddress(); err != nil {
		return err
	}
	text := fmt.Sprintf(haproxyConfig, c.address)
	for _, n := range c.nodes {
		_, port, err := net.SplitHostPort(n.rest)
		if err != nil {
			return err
		}
		text += fmt.Sprintf("    server %s %s check port %s\n", n.name, n.postgres, port)
	}
	path := filepath.Join(c.dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // its user reads it; it holds no secret
		return err
	}
	c.haproxy, err = c.daemon("haproxy", nil, "haproxy", "-db", "-f", path)
	return err
}

// folder makes a folder of the servers' user.
func (c *patroni) folder(name string) (string, error) {
	path := filepath.Join(c.dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", err
	}
	return path, os.Chown(path, c.uid, c.gid)
}

// daemon starts a program as the servers' user; its output goes to a file of its name.
func (c *patroni) daemon(name string, env []string, program string, args ...string) (*process, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			return nil, fmt.Errorf("find %s: %w", program, err)
		}
	}
	log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, env...), c.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process alone
	if c.uid != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.gid), Groups: []uint32{uint32(c.gid)}} //nolint:gosec // ids of a user
	}
	endWithParent(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{cmd: cmd, name: name, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// whole waits until one node is the primary, one a synchronous and the third another
// standby, and haproxy leads to the primary.
func (c *patroni) whole(ctx context.Context) error {
	var fault error
	for deadline := time.Now().Add(formWithin); time.Now().Before(deadline); waitFor(ctx, 100*time.Millisecond) {
		if fault = c.isWhole(ctx); fault == nil || ctx.Err() != nil {
			return errors.Join(fault, ctx.Err())
		}
	}
	return fmt.Errorf("the cluster is not whole after %s: %w\n%s", formWithin, fault, c.lastWords())
}

func (c *patroni) isWhole(ctx context.Context) error {
	for path, want := range map[string]int{"primary": 1, "synchronous": 1, "replica": 2} {
		n := 0
		for _, node := range c.nodes {
			if node.is(ctx, path) {
				n++
			}
		}
		if n != want {
			return fmt.Errorf("%d of the nodes are %s, want %d", n, path, want)
		}
	}
	db, err := pgx.Connect(ctx, databaseURL(c.address))
	if err != nil {
		return fmt.Errorf("connect through haproxy: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	// What Patroni says of the synchronous standby and what the primary waits for.
	var synced, streaming int
	if err := db.QueryRow(ctx, `SELECT count(*) FILTER (WHERE sync_state = 'sync'), count(*) FROM pg_stat_replication WHERE state = 'streaming'`).
		Scan(&synced, &streaming); err != nil {
		return err
	}
	if synced != 1 || streaming != 2 {
		return fmt.Errorf("%d of %d standbys are synchronous, want 1 of 2", synced, streaming)
	}
	return nil
}

// databaseURL is that of a cluster's database at one or several addresses.
func databaseURL(addresses ...string) string {
	return "postgres://postgres@" + strings.Join(addresses, ",") + "/postgres?sslmode=disable"
}

// addresses are those of the servers themselves.
func (c *patroni) addresses() (out []string) {
	for _, n := range c.nodes {
		out = append(out, n.postgres)
	}
	return out
}

// is asks a node's Patroni for a role, as haproxy does.
func (n *node) is(ctx context.Context, role string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.rest+"/"+role, http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// primary returns the node that is the primary.
func (c *patroni) primary(ctx context.Context) (*node, error) {
	for _, n := range c.nodes {
		if n.is(ctx, "primary") {
			return n, nil
		}
	}
	return nil, errors.New("no node is the primary")
}

// promoted waits until another server than old takes writes, and returns it with a connection to it.
func (c *patroni) promoted(ctx context.Context, old *node) (*node, *pgx.Conn, error) {
	conns := make(map[*node]*pgx.Conn)
	defer func() {
		for _, db := range conns {
			_ = db.Close(context.WithoutCancel(ctx))
		}
	}()
	for deadline := time.Now().Add(formWithin); time.Now().Before(deadline) && ctx.Err() == nil; waitFor(ctx, 20*time.Millisecond) {
		for _, n := range c.nodes {
			if n == old {
				continue
			}
			var standby bool
			db, err := conns[n], error(nil)
			if db == nil {
				if db, err = pgx.Connect(ctx, n.url()); err != nil {
					continue
				}
				conns[n] = db
			}
			if err := db.QueryRow(ctx, `SELECT pg_is_in_recovery()`).Scan(&standby); err != nil {
				_ = db.Close(ctx)
				delete(conns, n)
			} else if !standby {
				delete(conns, n)
				return n, db, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("no standby was promoted within %s\n%s", formWithin, c.lastWords())
}

// signal signals a node's Patroni and its server with all of its processes.
func (n *node) signal(s syscall.Signal) error {
	server := n.serverPID() // before: a Patroni that lives would start another
	if err := n.supervisor.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal Patroni: %w", err)
	}
	if server == 0 {
		return nil
	}
	return signalFamily(server, s)
}

// serverPID is 0 when no server has left its file.
func (n *node) serverPID() int {
	raw, err := os.ReadFile(filepath.Join(n.data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

// switchOver hands the primary's role to the synchronous standby by patronictl.
func (c *patroni) switchOver(ctx context.Context, from *node) error {
	for _, n := range c.nodes {
		if !n.is(ctx, "synchronous") {
			continue
		}
		out, err := exec.CommandContext(ctx, "patronictl", "-c", from.config, "switchover", "connectlink",
			"--master", from.name, "--candidate", n.name, "--force").CombinedOutput()
		if err != nil {
			return fmt.Errorf("patronictl switchover: %w\n%s", err, out)
		}
		return nil
	}
	return errors.New("no node is the synchronous standby")
}

// stop ends all. The servers are first stopped by force: nothing of them is kept.
func (c *patroni) stop() {
	for _, n := range c.nodes {
		if n.supervisor != nil {
			_ = n.signal(syscall.SIGKILL)
			<-n.supervisor.ended
		}
		for _, p := range n.proxies() {
			p.close()
		}
	}
	for _, p := range []*process{c.haproxy, c.etcd} {
		if p != nil {
			p.kill()
		}
	}
}

// lastWords are the ends of the daemons' logs.
func (c *patroni) lastWords() string {
	files, _ := filepath.Glob(filepath.Join(c.dir, "*.log")) // a constant pattern
	var out strings.Builder
	for _, f := range files {
		fmt.Fprintf(&out, "%s:\n%s\n", filepath.Base(f), processtest.LastLines(f))
	}
	return out.String()
}
