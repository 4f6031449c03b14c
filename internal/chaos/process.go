package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// process is a child of this one.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	name  string
	ended chan struct{} // closed when it is gone
}

// spawnRole starts a copy of this program in a role.
func spawnRole(role string, stdout io.Writer) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stdout, cmd.Stderr = stdout, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a %s: %w", role, err)
	}
	p := &process{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// spawnSink starts the sink and returns its address.
func spawnSink() (*process, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = r.Close() }()
	p, err := spawnRole(roleSink, w)
	_ = w.Close()
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		p.kill()
		return nil, "", fmt.Errorf("the sink did not say where it is: %w", err)
	}
	return p, strings.TrimSpace(line), nil
}

// spawnWorker starts a worker and returns its standard output, the lines of its
// feeder.
func spawnWorker(c childConfig) (*process, io.ReadCloser, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	p, err := spawnRole(roleWorker, in)
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, nil, err
	}
	p.name = c.Name
	if err := json.NewEncoder(p.stdin).Encode(c); err != nil {
		p.kill()
		_ = out.Close()
		return nil, nil, fmt.Errorf("configure a worker: %w", err)
	}
	return p, out, nil
}

// kill is kill -9, and waits for the end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop ends a process in order: its input ends.
func (p *process) stop() {
	_ = p.stdin.Close()
	<-p.ended
}

// arm sets a worker's trap: it dies by its own hand at that place.
func (p *process) arm(o order) error {
	if err := json.NewEncoder(p.stdin).Encode(o); err != nil {
		return fmt.Errorf("arm a worker: %w", err)
	}
	return nil
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// nameConnection puts a connection's name into its URL, by which it is found in
// pg_stat_activity.
func nameConnection(raw, name string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return raw + " application_name=" + name
	}
	q := u.Query()
	q.Set("application_name", name)
	u.RawQuery = q.Encode()
	return u.String()
}
