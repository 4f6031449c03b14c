package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/connectlink/connectlink/internal/processtest"
)

// Roles of a process.
const (
	roleAll    = "all"
	roleAPI    = "api"
	roleWorker = "worker"
)

// program is the subject of a measurement: it takes creates and sends messages.
type program struct {
	name     string
	bin      string
	database string // URL
	open     string // SQL that counts the deliveries that are not finished
	env      []string
	args     func(role string) []string
	vars     func(role, addr string) []string // environment of a role that listens at addr
}

// process is a program that runs.
type process struct {
	cmd   *exec.Cmd
	base  string
	log   string
	ended chan struct{}
	ready time.Duration // from exec to a 200 of /readyz
	peak  func() float64
}

// start runs a program and waits until it is ready to take requests. A worker
// takes none and is not waited for.
func (p *program) start(ctx context.Context, dir, role string) (*process, error) {
	addr, err := processtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	s := &process{base: "http://" + addr, log: filepath.Join(dir, strings.ReplaceAll(p.name, " ", "-")+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(p.bin, p.args(role)...)
	s.cmd.Env = append(append([]string{}, p.env...), p.vars(role, addr)...)
	s.cmd.Stderr, s.cmd.Stdout = log, log
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	s.peak = s.watchMemory()
	if role == roleWorker {
		return s, nil
	}
	for !processtest.IsReady(ctx, s.base) {
		if err := s.waitMore(ctx, begun); err != nil {
			s.stop()
			return nil, fmt.Errorf("%s as %s: %w", p.name, role, err)
		}
	}
	s.ready = time.Since(begun)
	return s, nil
}

// waitMore waits a moment for a process that begun to start.
func (s *process) waitMore(ctx context.Context, begun time.Time) error {
	select {
	case <-s.ended:
		return errors.New("it ended: " + processtest.LastLines(s.log))
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(500 * time.Microsecond):
	}
	if time.Since(begun) > time.Minute {
		return errors.New("it did not become ready: " + processtest.LastLines(s.log))
	}
	return nil
}

// stop ends the process in order, and after half a minute by force.
func (s *process) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// memory is the process's anonymous resident memory in MiB.
func (s *process) memory() float64 {
	m, err := processtest.AnonymousMemory(s.cmd.Process.Pid)
	if err != nil {
		return 0 // it ended
	}
	return m
}

// watchMemory returns a function that tells the highest use so far.
func (s *process) watchMemory() func() float64 {
	var mu sync.Mutex
	var peak float64
	go func() {
		every := time.NewTicker(50 * time.Millisecond)
		defer every.Stop()
		for {
			m := s.memory()
			mu.Lock()
			peak = max(peak, m)
			mu.Unlock()
			select {
			case <-s.ended:
				return
			case <-every.C:
			}
		}
	}()
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return peak
	}
}
