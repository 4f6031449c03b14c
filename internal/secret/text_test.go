package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/secret"
)

func TestTextNeverPrintsItsValue(t *testing.T) {
	t.Parallel()
	const canary = "ctok_canary"
	v := secret.New(canary)
	holder := struct {
		T secret.Text
		P *secret.Text
	}{v, &v}

	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v, "holder", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v, "holder", holder)
	js, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(js)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown += fmt.Sprintf(verb, v) + fmt.Sprintf(verb, holder.T) + fmt.Sprintf(verb, &v)
	}
	shown += fmt.Errorf("wrap %v", v).Error()
	if strings.Contains(shown, canary) || strings.Contains(shown, fmt.Sprintf("%x", canary)) {
		t.Fatalf("the value shows in: %s", shown)
	}
	if !strings.Contains(shown, secret.Redacted) {
		t.Fatalf("nothing was printed at all: %s", shown)
	}
	if got := v.Reveal(); got != canary {
		t.Fatalf("Reveal() = %q", got)
	}
}

func TestTextReadsFromConfiguration(t *testing.T) {
	t.Parallel()
	var got struct{ Key secret.Text }
	if err := json.Unmarshal([]byte(`{"Key":"s3cret"}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Key.Reveal() != "s3cret" || got.Key.IsZero() {
		t.Fatal("the value was not read")
	}
}
