package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/connectlink/connectlink/internal/processtest"
	"github.com/connectlink/connectlink/internal/seal"
)

// program is the real thing, built from this module's source, in a folder of
// its own, with the sink for its vendors.
type program struct {
	bin, log string
	env      []string
	cmd      *exec.Cmd
	ended    chan struct{}
	base     string
}

// buildProgram makes the program and gives it an environment in which it works with
// live keys against the sink.
func buildProgram(ctx context.Context, dir, database, sinkURL string) (*program, error) {
	keyset, err := seal.NewKeyset()
	if err != nil {
		return nil, err
	}
	p := &program{bin: filepath.Join(dir, "connectlink"), log: filepath.Join(dir, "connectlink.log")}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", p.bin, "github.com/connectlink/connectlink/cmd/connectlink")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the program: %w\n%s", err, out)
	}
	addr, err := processtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	p.base = "http://" + addr
	p.env = append(os.Environ(),
		"CONNECTLINK_DATABASE_URL="+database, "CONNECTLINK_KEYSET="+keyset.Encode().Reveal(), "CONNECTLINK_LISTEN="+addr,
		"CONNECTLINK_BRAND_NAME=Acme", "CONNECTLINK_BRAND_REGION=US",
		// More is sent than one product sends in a day, to neighbouring numbers.
		"CONNECTLINK_LIMIT_KEY_PER_DAY=unlimited", "CONNECTLINK_LIMIT_PROJECT_PER_DAY=unlimited", "CONNECTLINK_LIMIT_SPEND_PER_DAY=unlimited",
		"CONNECTLINK_LIMIT_SMS_COUNTRY_PER_DAY=unlimited", "CONNECTLINK_LIMIT_SMS_BLOCK_PER_DAY=unlimited",
		"CONNECTLINK_DRAIN_FOR=0s", "CONNECTLINK_SANDBOX=false", "CONNECTLINK_ALLOW_NO_CALLBACKS=true", "CONNECTLINK_PUBLIC_URL="+PublicURL,
		"PIPEDREAM_API_URL="+sinkURL+"/pipedream", "PIPEDREAM_CLIENT_ID=sink", "PIPEDREAM_CLIENT_SECRET=sink",
		"PIPEDREAM_PROJECT_ID=proj_sink", "PIPEDREAM_PROJECT_ENVIRONMENT=production",
		"SENDGRID_API_URL="+sinkURL+"/sendgrid", "SENDGRID_API_KEY=SG.sink", "SENDGRID_FROM=invites@acme.example",
		"TWILIO_API_URL="+sinkURL+"/twilio", "TWILIO_ACCOUNT_SID=AC00000000000000000000000000000000", "TWILIO_AUTH_TOKEN=sink", "TWILIO_FROM=+15005550006",
	)
	return p, nil
}

// beside is another process of the same program, in a role, with an address for
// its health alone.
func (p *program) beside(role string) (*program, error) {
	addr, err := processtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	other := &program{bin: p.bin, log: p.log + "." + role, base: "http://" + addr}
	other.env = append(append([]string{}, p.env...), "CONNECTLINK_ROLE="+role, "CONNECTLINK_METRICS_LISTEN="+addr)
	return other, nil
}

// run is one command of the program, to its end.
func (p *program) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.bin, args...)
	cmd.Env = p.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("connectlink %s: %w\n%s", args[0], err, stderr.Bytes())
	}
	return out, nil
}

// key makes a live key.
func (p *program) key(ctx context.Context) (string, error) {
	out, err := p.run(ctx, "keys", "create", "--name", "chaos", "--live", "--json")
	if err != nil {
		return "", err
	}
	var made struct {
		Key string `json:"api_key"`
	}
	return made.Key, json.Unmarshal(out, &made)
}

// serve starts it and waits until it is ready.
func (p *program) serve(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(p.bin, "serve")
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.env, log, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	for deadline := time.Now().Add(30 * time.Second); ; waitFor(ctx, 20*time.Millisecond) {
		if p.ready(ctx) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the program ended: %s", p.lastWords())
		default:
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("the program did not become ready: %s", p.lastWords())
		}
	}
}

// ready asks a process whether it is ready.
func (p *program) ready(ctx context.Context) bool { return processtest.IsReady(ctx, p.base) }

// kill ends it at once, if it runs.
func (p *program) kill() {
	if p.ended == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *program) lastWords() string { return processtest.LastLines(p.log) }

// stop ends it in order, if it runs.
func (p *program) stop() {
	if p.ended == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}
