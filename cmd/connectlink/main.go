// Command connectlink delivers Pipedream Connect links: it serves the API and
// the recipients' pages, sends the messages, and administers itself.
//
// Each command stands in a file of its name. They read flags, call what does
// the work, print, and choose the exit code; they decide nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // times are shown in recipients' zones, also where the system has none installed

	"github.com/alecthomas/kong"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2 // the command, its configuration or its request is wrong
	exitAuth     = 3
	exitNotFound = 4
)

// commands is the command line.
type commands struct {
	Dev         devCommand         `cmd:"" group:"Run" help:"Run everything on this machine without any setup: a database, simulated providers, an API key."`
	Serve       serveCommand       `cmd:"" group:"Run" help:"Run the service with its configuration."`
	Migrate     migrateCommand     `cmd:"" group:"Run" help:"Apply pending database migrations."`
	Healthcheck healthcheckCommand `cmd:"" group:"Run" help:"Check that the service on this machine is ready; for containers."`

	Invites invitesCommand `cmd:"" group:"Invite" help:"Create, find, resend, extend and revoke invites through the API."`

	Login        loginCommand        `cmd:"" group:"Invite" help:"Store an API key for this machine's user, after it was tried."`
	Logout       logoutCommand       `cmd:"" group:"Invite" help:"Remove a stored API key from this machine."`
	Profiles     profilesCommand     `cmd:"" group:"Invite" help:"List the stored API keys, and choose the one that commands use."`
	Apps         appsCommand         `cmd:"" group:"Invite" help:"Search the apps that people can connect."`
	Messages     messagesCommand     `cmd:"" group:"Invite" help:"Read the messages of test mode through the API."`
	Test         testCommand         `cmd:"" group:"Invite" help:"Test how your product behaves when a vendor fails."`
	Events       eventsCommand       `cmd:"" group:"Invite" help:"List events, and send them to webhook endpoints again."`
	Listen       listenCommand       `cmd:"" group:"Invite" help:"Forward events to a server on this machine, signed as webhooks; no public URL is needed."`
	Trigger      triggerCommand      `cmd:"" group:"Invite" help:"Post an invented event to webhook endpoints and show their answers."`
	Webhooks     webhooksCommand     `cmd:"" group:"Invite" help:"List, create and test webhook endpoints, and send what they missed."`
	Pauses       pausesCommand       `cmd:"" group:"Invite" help:"Pause and resume sending by a channel, to a country or to a range of numbers."`
	Suppressions suppressionsCommand `cmd:"" group:"Invite" help:"List, add and remove suppressions through the API."`
	Privacy      privacyCommand      `cmd:"" group:"Invite" help:"Export or erase a person's data through the API."`
	Reasons      reasonsCommand      `cmd:"" group:"Invite" help:"Explain the reasons why messages fail, and the fix for each."`

	Keys      keysCommand      `cmd:"" group:"Administer" help:"Create, list and revoke API keys."`
	Staff     staffCommand     `cmd:"" group:"Administer" help:"Create, list and disable accounts for the support console."`
	Keyset    keysetCommand    `cmd:"" group:"Administer" help:"Create or rotate the keys that encrypt personal data."`
	Restore   restoreCommand   `cmd:"" group:"Administer" help:"Take a restored database into use."`
	Audit     auditCommand     `cmd:"" group:"Administer" help:"Verify and export the audit log."`
	Config    configCommand    `cmd:"" group:"Administer" help:"Check the configuration."`
	Templates templatesCommand `cmd:"" group:"Administer" help:"Check and list the texts for recipients."`
	Doctor    doctorCommand    `cmd:"" group:"Administer" help:"Check everything the service depends on, and report problems with their fix. Sends nothing."`
	Version   versionCommand   `cmd:"" group:"Administer" help:"Print the version."`

	Help          helpCommand          `cmd:"" group:"Administer" help:"Explain a command."`
	Completion    completionCommand    `cmd:"" group:"Administer" help:"Print a script that completes commands and flags in a shell."`
	CompleteWords completeWordsCommand `cmd:"" hidden:""`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`
}

// env is what a command is given besides its flags.
type env struct {
	ctx    context.Context
	stdin  *os.File
	stdout io.Writer
	stderr io.Writer
	lookup func(string) (string, bool)
	names  []string // of every variable there is; values may follow after =
	target *target  // what remote commands ask, once it is chosen
}

// say tells the person at the terminal something that is not the result.
func (e *env) say(format string, args ...any) { _, _ = fmt.Fprintf(e.stderr, format+"\n", args...) }

// exitError ends a command with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageError is a fault in the arguments or the configuration.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one has its default effect, so that a
	// second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	code := runCommand(env{
		ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, lookup: os.LookupEnv, names: os.Environ(),
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// runCommand carries one command out and returns the process's exit code.
func runCommand(e env, args []string) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("connectlink"),
		kong.Description("Delivers Pipedream Connect links by email and SMS, and stays with each until the account is connected.\n\n"+
			"New here? `connectlink dev` needs nothing set up and shows the way.\n\n"+
			"Exit codes: 0 success; 1 failure; 2 a fault in the command, the configuration or the request; 3 a missing or refused key; 4 not found.\n\n"+
			"Variables: CONNECTLINK_API_URL and CONNECTLINK_API_KEY name the service and the key, and take precedence over the profiles "+
			"of connectlink login; CONNECTLINK_PROFILE names a profile; docs/configuration.md "+
			"describes those of the service itself."),
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": versionLine(), "default_project": config.DefaultProject, "scopes": strings.ReplaceAll(access.JoinScopes(access.Scopes()), " ", ", ")},
	)
	if err != nil {
		e.say("connectlink: %v", err)
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
		e.say("connectlink: %v; see connectlink --help", err)
		return exitUsage
	}
	return reportError(e, cmd.Run(&e))
}

func reportError(e env, err error) int {
	if err == nil {
		return exitOK
	}
	if e.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		e.say("connectlink: interrupted")
		return exitFailed
	}
	e.say("connectlink: %v", err)
	var x *exitError
	if errors.As(err, &x) {
		return x.code
	}
	return exitFailed
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, versionLine())
	return err
}

func versionLine() string {
	version := "(unknown version)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	return fmt.Sprintf("connectlink %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
