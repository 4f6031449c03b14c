// Command connectlink delivers Pipedream Connect links: it serves the API and
// the recipients' pages, sends the messages, and administers itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // times are shown in recipients' zones, also where the system has none installed

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitAuth     = 3
	exitNotFound = 4
)

// commands is the command line.
type commands struct {
	Dev         devCommand         `cmd:"" help:"Run everything on this machine with nothing set up: a database, the vendors' sandbox, a key."`
	Serve       serveCommand       `cmd:"" help:"Run the service from its configuration."`
	Migrate     migrateCommand     `cmd:"" help:"Bring the database's schema up to date."`
	Keys        keysCommand        `cmd:"" help:"Make, list and revoke API keys."`
	Invites     invitesCommand     `cmd:"" help:"Create, find, resend and revoke invites through the API."`
	Keyset      keysetCommand      `cmd:"" help:"Make or rotate the keys that seal what is personal."`
	Config      configCommand      `cmd:"" help:"Look at the configuration."`
	Doctor      doctorCommand      `cmd:"" help:"Try everything the service depends on and say what is wrong."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running service whether it is ready; for containers."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// env is what a command is given besides its flags.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	lookup func(string) (string, bool)
}

// exitError ends a command with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(env{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, lookup: os.LookupEnv}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run carries one command out and returns the process's exit code.
func run(e env, args []string) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("connectlink"),
		kong.Description("Delivers Pipedream Connect links by email and SMS, and stays with each until the account is connected."),
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.UsageOnError(),
	)
	if err != nil {
		_, _ = fmt.Fprintln(e.stderr, "connectlink:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	cmd, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		_, _ = fmt.Fprintln(e.stderr, "connectlink:", err)
		return exitUsage
	}
	return report(e, cmd.Run(&e))
}

func report(e env, err error) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(e.stderr, "connectlink:", err)
	var x *exitError
	if errors.As(err, &x) {
		return x.code
	}
	return exitFailed
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, version())
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "connectlink (unknown version)"
	}
	return "connectlink " + info.Main.Version
}
