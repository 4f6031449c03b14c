package logo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/wire"
)

// Path is where pictures are served: Path + digest + ".png" or ".svg".
const Path = "/logos/"

const (
	// maxLogos bounds the table: slugs come from callers, and the catalogue has some
	// 3,000 apps.
	maxLogos = 4096
	// refreshEvery is how old a process's list of pictures may be.
	refreshEvery = time.Minute
	// queued is how many addresses wait to be fetched; more are asked for again when
	// the catalogue is read again.
	queued = 64
	// digestLength is the letters of a digest, 128 bits.
	digestLength = 32
)

// ErrNotFound is returned for a picture that is not there.
var ErrNotFound = errors.New("no such logo")

// Params are what Logos need.
type Params struct {
	DB postgres.DB
	// Hosts may be fetched from; ".example.com" stands for every host below it. Without
	// any, none is.
	Hosts []string
	// HTTP fetches from Hosts; default a client that connects to public addresses only.
	HTTP *http.Client
	// Standin is test mode's catalogue.
	Standin Standin
	Log     *slog.Logger
}

// Standin is a catalogue of this process: addresses that begin with Prefix are fetched
// from Base instead.
type Standin struct{ Prefix, Base string }

// Logos are the pictures of apps. They are safe for concurrent use.
type Logos struct {
	p       Params
	standin *http.Client
	wanted  chan string
	mu      sync.RWMutex
	names   map[string]string // digest and extension, by source
}

// New makes Logos. Run fetches.
func New(p Params) *Logos {
	bounded := wire.Params{MaxResponse: maxSource, Timeout: 10 * time.Second, MaxIdlePerHost: 1, PublicOnly: true}
	if p.HTTP == nil {
		p.HTTP = wire.Client(bounded)
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	bounded.PublicOnly = false
	return &Logos{p: p, standin: wire.Client(bounded), wanted: make(chan string, queued), names: map[string]string{}}
}

// Want notes that an app with this address in the catalogue is used. It never waits.
func (l *Logos) Want(source string) {
	if _, ok := l.target(source); !ok {
		return
	}
	select {
	case l.wanted <- source:
	default:
	}
}

// PathOf is the path of a picture on this service's own host; empty while there is none.
func (l *Logos) PathOf(source string) string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	name := l.names[source]
	if name == "" {
		return ""
	}
	return Path + name
}

// Get returns the picture of a name, the last part of its path, with its media type.
// Errors: ErrNotFound.
func (l *Logos) Get(ctx context.Context, name string) (image []byte, mediaType string, err error) {
	digest, end, _ := strings.Cut(name, ".")
	if len(digest) != digestLength {
		return nil, "", ErrNotFound
	}
	err = l.p.DB.QueryRow(ctx, `SELECT image, media_type FROM app_logos WHERE digest = $1 LIMIT 1`, digest).Scan(&image, &mediaType)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && extension(mediaType) != "."+end {
		return nil, "", ErrNotFound
	}
	if err != nil {
		return nil, "", fmt.Errorf("get a logo: %w", postgres.Translate(err))
	}
	return image, mediaType, nil
}

// Run fetches the wanted pictures and follows those that other processes fetched, until
// ctx ends.
func (l *Logos) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	l.refresh(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case source := <-l.wanted:
			if l.fetch(ctx, source) {
				l.refresh(ctx)
			}
		case <-tick.C:
			l.refresh(ctx)
		}
	}
}

// refresh reads the list of pictures. A failure keeps the last one.
func (l *Logos) refresh(ctx context.Context) {
	rows, _ := l.p.DB.Query(ctx, `SELECT source, digest, media_type FROM app_logos WHERE digest <> '' LIMIT $1`, maxLogos)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Source, Digest, Type string }])
	if err != nil {
		if ctx.Err() == nil {
			l.p.Log.WarnContext(ctx, "list the logos of apps", "err", err)
		}
		return
	}
	names := make(map[string]string, len(list))
	for _, one := range list {
		names[one.Source] = one.Digest + extension(one.Type)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = names
}

// fetch fetches a picture that is due, and reports whether it is a new one.
func (l *Logos) fetch(ctx context.Context, source string) bool {
	due, err := l.claim(ctx, source)
	if err != nil || !due {
		if err != nil && ctx.Err() == nil {
			l.p.Log.WarnContext(ctx, "claim the logo of an app", "err", err)
		}
		return false
	}
	picture, err := l.read(ctx, source)
	if err != nil {
		if ctx.Err() == nil {
			l.p.Log.InfoContext(ctx, "the logo of an app could not be fetched: its pages show the initial", "source", source, "err", err)
		}
		return false
	}
	sum := sha256.Sum256(picture.Image)
	tag, err := l.p.DB.Exec(ctx, `UPDATE app_logos SET image = $2, digest = $3, media_type = $4, next_at = now() + interval '1 day' WHERE source = $1`,
		source, picture.Image, hex.EncodeToString(sum[:])[:digestLength], picture.Type)
	if err != nil {
		l.p.Log.WarnContext(ctx, "store the logo of an app", "err", err)
		return false
	}
	return tag.RowsAffected() > 0
}

// claim takes a picture for this process, for an hour: for so long a failure is not
// repeated. It reports whether it is due. Pictures that no catalogue named for 90 days
// make room.
func (l *Logos) claim(ctx context.Context, source string) (bool, error) {
	var due bool
	err := l.p.DB.QueryRow(ctx, `
		WITH gone AS (DELETE FROM app_logos WHERE wanted_at < now() - interval '90 days' AND source <> $1)
		INSERT INTO app_logos (source, next_at) SELECT $1, now() + interval '1 hour' WHERE (SELECT count(*) FROM app_logos) < $2
		ON CONFLICT (source) DO UPDATE SET wanted_at = now(), next_at = now() + interval '1 hour' WHERE app_logos.next_at <= now()
		RETURNING true`, source, maxLogos).Scan(&due)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim a logo: %w", postgres.Translate(err))
	}
	return due, nil
}

// read fetches a picture and draws it again.
func (l *Logos) read(ctx context.Context, source string) (Picture, error) {
	target, ok := l.target(source)
	if !ok {
		return Picture{}, errors.New("the address is not allowed")
	}
	client := l.p.HTTP
	if target != source {
		client = l.standin
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Picture{}, errors.New("the address cannot be read")
	}
	req.Header.Set("Accept", "image/svg+xml, image/png, image/jpeg, image/gif")
	req.Header.Set("User-Agent", wire.UserAgent())
	res, err := client.Do(req)
	if errors.Is(err, wire.ErrPrivateAddress) {
		return Picture{}, wire.ErrPrivateAddress
	}
	if err != nil {
		return Picture{}, wire.Strip(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return Picture{}, fmt.Errorf("status %d", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxSource+1))
	if err != nil {
		return Picture{}, wire.Strip(err)
	}
	return draw(raw)
}

// target is the address that a picture is fetched from; ok is false for one that may not
// be asked.
func (l *Logos) target(source string) (string, bool) {
	if s := l.p.Standin; s.Prefix != "" {
		if rest, ok := strings.CutPrefix(source, s.Prefix); ok {
			return s.Base + rest, true
		}
	}
	u, err := url.Parse(source)
	if err != nil || len(source) > 1000 || u.Scheme != "https" || u.User != nil || u.Port() != "" && u.Port() != "443" {
		return "", false
	}
	host := strings.ToLower(u.Hostname())
	return source, slices.ContainsFunc(l.p.Hosts, func(allowed string) bool {
		return host == allowed || strings.HasPrefix(allowed, ".") && strings.HasSuffix(host, allowed)
	})
}
