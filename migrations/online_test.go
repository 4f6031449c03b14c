package migrations

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// firstOnline is the first migration that must keep the rules of online; those before
// were released.
const firstOnline = "00143"

// contractMark begins the line that allows a migration to take something away: it names
// the release since which no process uses it.
const contractMark = "-- contract: unused since "

// TestMigrationsServeWhileTheyRun: processes of the previous release work on while a
// migration runs and after it, so a migration neither holds a lock for long nor takes
// away what they use.
func TestMigrationsServeWhileTheyRun(t *testing.T) {
	t.Parallel()
	for _, name := range sorted(t) {
		if name < firstOnline || !strings.HasSuffix(name, ".sql") {
			continue
		}
		src, err := fs.ReadFile(FS, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range offline(string(src)) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// offline lists what a migration does that old processes or a large table do not bear.
func offline(src string) (faults []string) {
	up, _, _ := strings.Cut(src, "-- +goose Down")
	contracts := strings.Contains(up, contractMark)
	concurrent := strings.Contains(up, "+goose NO TRANSACTION")
	up = regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(up, "")
	up = regexp.MustCompile(`\s+`).ReplaceAllString(up, " ")
	var fresh []string // tables that the migration makes; no process uses them yet
	for _, m := range regexp.MustCompile(`(?i)CREATE TABLE (?:IF NOT EXISTS )?([\w.]+)`).FindAllStringSubmatch(up, -1) {
		fresh = append(fresh, m[1])
	}
	for statement := range strings.SplitSeq(up, ";") {
		statement = strings.TrimSpace(statement)
		if m := regexp.MustCompile(`(?i)^CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?(\w+) ON (?:ONLY )?([\w.]+)`).FindStringSubmatch(statement); m != nil && !slices.Contains(fresh, m[3]) {
			switch {
			case m[1] == "":
				faults = append(faults, fmt.Sprintf("builds the index %s on %s without CONCURRENTLY: writes wait until it is built", m[2], m[3]))
			case !strings.Contains(up, "DROP INDEX CONCURRENTLY IF EXISTS "+m[2]+";"):
				faults = append(faults, fmt.Sprintf("does not drop the index %s first: a repetition finds the invalid rest of an attempt that failed", m[2]))
			}
		}
		m := regexp.MustCompile(`(?i)^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?([\w.]+) (.*)`).FindStringSubmatch(statement)
		if m != nil && !slices.Contains(fresh, m[1]) {
			for action := range strings.SplitSeq(regexp.MustCompile(`(?i), ?(ADD|ALTER|DROP|RENAME|VALIDATE)\b`).ReplaceAllString(m[2], "\n$1"), "\n") {
				faults = append(faults, offlineAlter(m[1], action, contracts)...)
			}
		}
		if regexp.MustCompile(`(?i)^DROP (TABLE|VIEW|FUNCTION)`).MatchString(statement) && !contracts {
			faults = append(faults, fmt.Sprintf("%.40s…: old processes use it; remove it in a later release, with a line %q", statement, contractMark+"v1.2.3"))
		}
		if m := regexp.MustCompile(`(?i)^(UPDATE|DELETE FROM) ([\w.]+)`).FindStringSubmatch(statement); m != nil && !slices.Contains(fresh, m[2]) && !contracts {
			faults = append(faults, fmt.Sprintf("changes rows of %s: a background job does so in small transactions", m[2]))
		}
	}
	if concurrent && (!strings.Contains(up, "SET lock_timeout") || !strings.Contains(up, "RESET lock_timeout")) {
		faults = append(faults, "runs outside a transaction without SET lock_timeout = '10min' before and RESET lock_timeout after: a build that waits for a long transaction would be begun again and again")
	}
	return faults
}

// offlineAlter lists the faults of one action of ALTER TABLE on a table that is in use.
func offlineAlter(table, action string, contracts bool) (faults []string) {
	for _, rule := range []struct {
		pattern, not, fault string
		contract            bool // allowed where the migration names the release that stopped using it
	}{
		{`(?i)ADD (CONSTRAINT \w+ )?(CHECK|FOREIGN KEY)`, `(?i)NOT VALID`, "adds a constraint that reads the whole table under a lock: add it NOT VALID, and VALIDATE it in a later migration", false},
		{`(?i)ADD (CONSTRAINT \w+ )?(UNIQUE|PRIMARY KEY|EXCLUDE)`, `(?i)USING INDEX`, "builds an index under a lock: build it CONCURRENTLY, and add the constraint USING INDEX", false},
		{`(?i)ADD COLUMN [^,]*NOT NULL`, `(?i)DEFAULT|GENERATED`, "adds a column that inserts of old processes leave out: give it a DEFAULT", false},
		{`(?i)ADD COLUMN [^,]*GENERATED ALWAYS AS [^,]*STORED`, ``, "rewrites the table under a lock", false},
		{`(?i)SET NOT NULL`, ``, "reads the whole table under a lock, and refuses inserts of old processes", true},
		{`(?i)ALTER (COLUMN )?\w+ (SET DATA )?TYPE`, ``, "may rewrite the table under a lock: add a column, fill it by a job, and use it in the next release", true},
		{`(?i)DROP COLUMN|RENAME`, ``, "takes away what old processes use", true},
	} {
		if !regexp.MustCompile(rule.pattern).MatchString(action) || rule.not != "" && regexp.MustCompile(rule.not).MatchString(action) {
			continue
		}
		if !rule.contract || !contracts {
			faults = append(faults, "ALTER TABLE "+table+" "+rule.fault)
		}
	}
	return faults
}

func TestOfflineFindsWhatOldProcessesDoNotBear(t *testing.T) {
	t.Parallel()
	const head = "-- +goose Up\n"
	for src, want := range map[string]int{
		"CREATE TABLE a (id int); CREATE INDEX a_id ON a (id); ALTER TABLE a ADD CHECK (id > 0); DELETE FROM a;": 0,
		"CREATE INDEX b_id ON b (id);":                                                      1,
		"CREATE UNIQUE INDEX CONCURRENTLY b_id ON b (id);":                                  1,
		"DROP INDEX CONCURRENTLY IF EXISTS b_id; CREATE INDEX CONCURRENTLY b_id ON b (id);": 0,
		"ALTER TABLE b ADD COLUMN c int;":                                                   0,
		"ALTER TABLE b ADD COLUMN c int NOT NULL;":                                          1,
		"ALTER TABLE b ADD COLUMN c int NOT NULL DEFAULT 0;":                                0,
		"ALTER TABLE b ADD COLUMN c int NOT NULL, ADD COLUMN d int DEFAULT 0;":              1,
		"ALTER TABLE b ADD CONSTRAINT d CHECK (c > 0);":                                     1,
		"ALTER TABLE b\n  ADD CONSTRAINT d CHECK (c > 0) NOT VALID;":                        0,
		"ALTER TABLE b ADD CONSTRAINT d UNIQUE (c);":                                        1,
		"ALTER TABLE b ADD CONSTRAINT d UNIQUE USING INDEX b_c;":                            0,
		"ALTER TABLE b ALTER COLUMN c SET NOT NULL;":                                        1,
		"ALTER TABLE b ALTER c TYPE bigint;":                                                1,
		"ALTER TABLE b DROP COLUMN c;":                                                      1,
		"ALTER TABLE b RENAME c TO d;":                                                      1,
		contractMark + "v1.4.0\nALTER TABLE b DROP COLUMN c;":                               0,
		"DROP TABLE b;":       1,
		"UPDATE b SET c = 1;": 1,
		"-- UPDATE b SET c = 1;\nSELECT 1;\n-- +goose Down\nDROP TABLE b;":           0,
		"-- +goose NO TRANSACTION\nSELECT 1;":                                        1,
		"-- +goose NO TRANSACTION\nSET lock_timeout = '10min';\nRESET lock_timeout;": 0,
	} {
		if got := offline(head + src); len(got) != want {
			t.Errorf("%q has %d faults, want %d: %q", src, len(got), want, got)
		}
	}
}
