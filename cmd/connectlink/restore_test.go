package main_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// TestNothingIsSentTwiceAfterARestoreToAnEarlierTime takes a base backup of a real
// server that archives its log, sends some of the queued messages after a moment,
// and recovers the backup to that moment. Processes refuse the database until the
// restore is declared. Then texts that were sent are found at the provider, texts that
// were not are sent, mails are held, and automatic messages are skipped.
func TestNothingIsSentTwiceAfterARestoreToAnEarlierTime(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs two database servers and the program for some seconds")
	}
	perKind := 12
	if longtest.Wanted() {
		perKind = 40 // tokens of Pipedream for more than 100 invites are minted later
	}
	vendors := sink.New()
	server := httptest.NewServer(vendors)
	t.Cleanup(server.Close)
	old := startArchiving(t)
	v := liveDeployment(t, old.server.URL(), server.URL)
	mustRun(t, v, "migrate")
	key := newKey(t, v, "--live").text("api_key")

	// Everything before the moment: sent, and with a fallback and a reminder to come.
	s := startServe(t, v)
	s.ready(s.url)
	before := map[string]string{"fallback": `,"fallback":{"channel":"email","after":"not_visited","delay_s":1800}`, "reminders": `,"reminders":{"count":1}`}
	for kind, option := range before {
		createLive(t, s.url, key, "sms", kind, 1, option)
	}
	s.until("sent the messages that are older than the backup", func() bool { return len(vendors.Count()) == len(before) })
	s.until("recorded that", func() bool {
		return number(t, old.server.URL(), `SELECT count(*) FROM deliveries WHERE status <> 'accepted'`) == 0
	})
	old.backUp()
	s.interrupt()

	// The queue of the moment: nothing of it is sent yet.
	api := startServe(t, v, "--role=api")
	api.ready(api.url)
	createLive(t, api.url, key, "sms", "text", perKind, "")
	createLive(t, api.url, key, "email", "mail", perKind, "")
	api.interrupt()
	old.exec(`UPDATE invites SET remind_at = now() + interval '1 second' WHERE remind_at IS NOT NULL`)
	old.exec(`SELECT pg_create_restore_point('moment')`) // not a time: the machine's clock may be set meanwhile

	// After the moment: some are sent, some are not, some are under way at the end.
	vendors.SetFault(sink.Fault{Latency: 100 * time.Millisecond, Jitter: 300 * time.Millisecond})
	lost := startServe(t, v.with(vars{"SENDGRID_PER_SECOND": "6", "TWILIO_PER_SECOND": "6"}))
	lost.until("sent half", func() bool { return vendors.Calls() >= len(before)+min(perKind, 15) })
	lost.signal(syscall.SIGKILL)
	<-lost.done
	sent := countMessages(vendors)
	vendors.SetFault(sink.Fault{})
	old.stop()

	restored := old.restoreTo("moment")
	v = v.with(vars{"CONNECTLINK_DATABASE_URL": restored.URL()})
	runCommand(t, v, "serve").want(t, 1, "the database server is in recovery")
	old.server = restored
	waittest.Until(t, "the recovery pauses at the restore point", func() bool {
		return number(t, restored.URL(), `SELECT count(*) FROM (SELECT pg_get_wal_replay_pause_state() AS is) s WHERE s.is = 'paused'`) == 1
	})
	old.exec(`SELECT pg_wal_replay_resume()`) // promotes it
	waittest.Until(t, "the restored server is promoted", func() bool {
		return number(t, restored.URL(), `SELECT count(*) FROM (SELECT pg_is_in_recovery() AS is) s WHERE s.is`) == 0
	})
	if n := number(t, restored.URL(), `SELECT count(*) FROM deliveries WHERE status = 'queued' AND attempts = 0`); n != 2*perKind {
		t.Fatalf("%d messages are queued after the restore, want %d: it is of another moment; %d have attempts, %d invites",
			n, 2*perKind, number(t, restored.URL(), `SELECT count(*) FROM deliveries WHERE attempts > 0`),
			number(t, restored.URL(), `SELECT count(*) FROM invites`))
	}
	runCommand(t, v, "serve").want(t, 1, "restored to an earlier time", "connectlink restore declare")
	runCommand(t, v, "doctor").want(t, 1, "WRONG database server: ", "connectlink restore declare")
	runCommand(t, v, "restore", "declare", "--yes").want(t, 0,
		fmt.Sprintf("May have been sent since: %d queued messages", 2*perKind), "Skipped: 1 reminders that were due, 1 fallbacks")

	began := time.Now()
	s = startServe(t, v)
	s.ready(s.url)
	s.until("settles every message", func() bool {
		return number(t, restored.URL(), `SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL`) == 0
	})
	took := time.Since(began)
	runCommand(t, v, "doctor").want(t, 1, "ok    database server", fmt.Sprintf("Of %d messages that were queued then, 0 are still being asked about and %d are held", 2*perKind, perKind))
	s.interrupt()

	texts, twice := 0, 0
	for k, n := range countMessages(vendors) {
		// A reminder of before the restore carries the link of the message before it.
		if n > max(1, sent[k]) {
			twice++
		}
		if sent[k] == 0 {
			texts++
		}
	}
	if twice > 0 {
		t.Errorf("%d messages were sent twice", twice)
	}
	queued := 0
	for _, m := range vendors.Taken() {
		if m.Channel == "sms" && strings.HasPrefix(m.To, textNumbers) {
			queued++
		}
	}
	if queued != perKind {
		t.Errorf("%d of the queued texts were sent, want each of %d", queued, perKind)
	}
	if held := number(t, restored.URL(), `SELECT count(*) FROM deliveries WHERE channel = 'email' AND status = 'unknown' AND reason = 'database_restored'`); held != perKind {
		t.Errorf("%d mails are held, want %d", held, perKind)
	}
	for _, skipped := range []string{"fallback.skipped", "reminder.skipped"} {
		if n := number(t, restored.URL(), `SELECT count(*) FROM events WHERE type = $1 AND data ->> 'reason' = 'database_restored'`, skipped); n != 1 {
			t.Errorf("%d × %s, want 1", n, skipped)
		}
	}
	t.Logf("%d messages queued at the moment, %d of all were sent before the end, %d afterwards, %d held, %d twice; settled in %.1f s",
		2*perKind, len(sent), texts, perKind, twice, took.Seconds())
	if texts == 0 || len(sent) <= len(before) {
		t.Error("all or none were sent before the end: the run proves nothing")
	}
}

// liveDeployment is a deployment with live credentials of a vendors' stand-in.
func liveDeployment(t *testing.T, db, vendors string) vars {
	t.Helper()
	return deployment(t, db).with(vars{
		"CONNECTLINK_BRAND_REGION": "US", "CONNECTLINK_SANDBOX": "false", "CONNECTLINK_ALLOW_NO_CALLBACKS": "true",
		"CONNECTLINK_PUBLIC_URL": "https://go.acme.example", "CONNECTLINK_SETTLE_TWILIO": "2s",
		"CONNECTLINK_LIMIT_KEY_PER_DAY": "unlimited", "CONNECTLINK_LIMIT_PROJECT_PER_DAY": "unlimited", "CONNECTLINK_LIMIT_SPEND_PER_DAY": "unlimited",
		"CONNECTLINK_LIMIT_SMS_COUNTRY_PER_DAY": "unlimited", "CONNECTLINK_LIMIT_SMS_BLOCK_PER_DAY": "unlimited",
		"PIPEDREAM_API_URL": vendors + "/pipedream", "PIPEDREAM_CLIENT_ID": "sink", "PIPEDREAM_CLIENT_SECRET": "sink",
		"PIPEDREAM_PROJECT_ID": "proj_sink", "PIPEDREAM_PROJECT_ENVIRONMENT": "production",
		"SENDGRID_API_URL": vendors + "/sendgrid", "SENDGRID_API_KEY": "SG.sink", "SENDGRID_FROM": "invites@acme.example",
		"TWILIO_API_URL": vendors + "/twilio", "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000", "TWILIO_AUTH_TOKEN": "sink", "TWILIO_FROM": "+15005550006",
	})
}

// countMessages returns how often each message was taken, without the mails that doctor
// asks SendGrid about in its sandbox mode, which the stand-in does not know.
func countMessages(vendors *sink.Sink) map[string]int {
	counts := map[string]int{}
	for _, m := range vendors.Taken() {
		if !strings.HasSuffix(m.To, "@connectlink.test") {
			counts[m.Key]++
		}
	}
	return counts
}

// textNumbers is the beginning of the numbers of createLive for kinds of four letters.
const textNumbers = "+12126"

// createLive creates n invites to people of their own.
func createLive(t *testing.T, base, key, channel, kind string, n int, options string) {
	t.Helper()
	for i := range n {
		body := fmt.Sprintf(`{"external_user_id":"%s-%d","app":"slack","channel":"%s","recipient":{"phone":"+1212%d%06d","email":"%s.%d@customer.example"}%s}`,
			kind, i, channel, 2+len(kind)%8, i, kind, i, options)
		status, _, answer := call(t, http.MethodPost, base+"/v1/invites", key, body)
		if status != http.StatusCreated && status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", kind, status, answer)
		}
	}
}

// archiving is a server that archives its log, and the backup of it.
type archiving struct {
	t            *testing.T
	dir          string
	server       *devpg.Server
	uid, gid     int
	programs     string
	archive, dst string
}

func startArchiving(t *testing.T) *archiving {
	t.Helper()
	a := &archiving{t: t, dir: folder(t)}
	a.archive, a.dst = filepath.Join(filepath.Dir(a.dir), "archive"), filepath.Join(filepath.Dir(a.dir), "restored")
	found, err := devpg.Find(t.Context(), os.LookupEnv, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	a.programs = found.Dir
	for _, dir := range []string{a.archive, a.dst} {
		if err := os.Mkdir(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	// The server's user is known once it has made a folder.
	a.server = a.start(a.dir, map[string]string{
		"wal_level": "replica", "max_wal_senders": "3", "archive_mode": "on", "archive_command": "cp %p " + a.archive + "/%f",
	})
	st, err := os.Stat(filepath.Join(a.server.Home(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	owner := st.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // on Unix it is one
	a.uid, a.gid = int(owner.Uid), int(owner.Gid)
	a.own(a.archive)
	return a
}

func (a *archiving) start(dir string, settings map[string]string) *devpg.Server {
	a.t.Helper()
	s, err := devpg.Start(a.t.Context(), devpg.Params{Dir: dir, NoSync: true, Settings: settings})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

// own gives a folder and all in it to the server's user.
func (a *archiving) own(dir string) {
	a.t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *archiving) backUp() {
	a.t.Helper()
	out, err := exec.CommandContext(a.t.Context(), filepath.Join(a.programs, "pg_basebackup"),
		"--pgdata="+filepath.Join(a.dst, "data"), "--dbname="+a.server.URL(), "--checkpoint=fast", "--no-sync").CombinedOutput()
	if err != nil {
		a.t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
}

func (a *archiving) exec(sql string) {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.server.URL())
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(a.t.Context(), sql); err != nil {
		a.t.Fatal(err)
	}
}

// stop ends the server after its log is archived.
func (a *archiving) stop() {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.server.URL())
	if err != nil {
		a.t.Fatal(err)
	}
	var last string
	if err := conn.QueryRow(a.t.Context(), `SELECT pg_walfile_name(pg_switch_wal())`).Scan(&last); err != nil {
		a.t.Fatal(err)
	}
	_ = conn.Close(a.t.Context())
	waittest.Until(a.t, "the log is archived", func() bool {
		entries, err := os.ReadDir(a.archive)
		return err == nil && len(entries) > 0 && strings.Compare(entries[len(entries)-1].Name(), last) >= 0
	})
	if err := a.server.Stop(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

// restoreTo recovers the backup to a restore point, as PostgreSQL's documentation
// describes it.
func (a *archiving) restoreTo(point string) *devpg.Server {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dst, "data", "recovery.signal"), nil, 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.own(filepath.Join(a.dst, "data"))
	return a.start(a.dst, map[string]string{
		"wal_level": "replica", "max_wal_senders": "3", "restore_command": "cp " + a.archive + "/%f %p",
		"recovery_target_name": point, // where recovery pauses, as it does unless it is told otherwise
	})
}
