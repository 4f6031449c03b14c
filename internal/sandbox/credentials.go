package sandbox

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/connectlink/connectlink/internal/secret"
)

// Credentials are the sandbox's vendor accounts: what a real deployment would
// put into its configuration. They are made once per database.
type Credentials struct {
	PipedreamClientID     string
	PipedreamClientSecret secret.Text
	PipedreamProjectID    string

	SendGridAPIKey secret.Text
	// SendGridWebhookPublicKey verifies event webhooks: base64 of a DER
	// SubjectPublicKeyInfo, P-256, as SendGrid's settings show it.
	SendGridWebhookPublicKey string

	TwilioAccountSID          string
	TwilioAuthToken           secret.Text // signs status callbacks
	TwilioAPIKey              string
	TwilioAPISecret           secret.Text
	TwilioMessagingServiceSID string
	TwilioFrom                string
}

// Credentials returns the accounts the product's test mode must use.
func (s *Sandbox) Credentials() Credentials { return s.cred }

// signingKeys are the vendors' own secrets, which no customer sees.
type signingKeys struct {
	events *ecdsa.PrivateKey  // SendGrid's event webhook
	bearer ed25519.PrivateKey // Pipedream's access tokens
}

// deployment is what the sealed row holds.
type deployment struct {
	ClientID, ClientSecret, ProjectID        string
	SendGridKey                              string
	AccountSID, AuthToken, APIKey, APISecret string
	MessagingServiceSID, From                string
	EventsKey /* PKCS #8 */, BearerKey/*seed*/ []byte
}

// deploymentID is fixed: there is one row, and sealing wants an id.
var deploymentID = uuid.UUID{0: 1}

// openDeployment reads the credentials, writing fresh ones when there are
// none. Two processes starting at once agree on whichever came first.
func (s *Sandbox) openDeployment(ctx context.Context) error {
	fresh, err := newDeployment()
	if err != nil {
		return fmt.Errorf("make sandbox credentials: %w", err)
	}
	plain, err := json.Marshal(fresh)
	if err != nil {
		return fmt.Errorf("encode sandbox credentials: %w", err)
	}
	sealed, err := s.box.Seal(plain, ad("deployment.credentials", deploymentID))
	if err != nil {
		return fmt.Errorf("seal sandbox credentials: %w", err)
	}
	if _, err := s.db.Exec(ctx, `INSERT INTO sandbox.deployment (credentials, created_at) VALUES ($1, $2)
		ON CONFLICT (singleton) DO NOTHING`, sealed, s.now()); err != nil {
		return fmt.Errorf("store sandbox credentials: %w", err)
	}
	if err := s.db.QueryRow(ctx, `SELECT credentials FROM sandbox.deployment`).Scan(&sealed); err != nil {
		return fmt.Errorf("read sandbox credentials: %w", err)
	}
	if plain, err = s.box.Open(sealed, ad("deployment.credentials", deploymentID)); err != nil {
		return fmt.Errorf("open sandbox credentials (was the keyset replaced instead of rotated?): %w", err)
	}
	var d deployment
	if err := json.Unmarshal(plain, &d); err != nil {
		return fmt.Errorf("decode sandbox credentials: %w", err)
	}
	return s.adopt(d)
}

func (s *Sandbox) adopt(d deployment) error {
	key, err := x509.ParsePKCS8PrivateKey(d.EventsKey)
	if err != nil {
		return fmt.Errorf("sandbox event key: %w", err)
	}
	events, ok := key.(*ecdsa.PrivateKey)
	if !ok || len(d.BearerKey) != ed25519.SeedSize {
		return fmt.Errorf("sandbox signing keys are of another kind (%T)", key)
	}
	der, err := x509.MarshalPKIXPublicKey(&events.PublicKey)
	if err != nil {
		return fmt.Errorf("sandbox event key: %w", err)
	}
	s.keys = signingKeys{events: events, bearer: ed25519.NewKeyFromSeed(d.BearerKey)}
	s.cred = Credentials{
		PipedreamClientID:         d.ClientID,
		PipedreamClientSecret:     secret.New(d.ClientSecret),
		PipedreamProjectID:        d.ProjectID,
		SendGridAPIKey:            secret.New(d.SendGridKey),
		SendGridWebhookPublicKey:  base64.StdEncoding.EncodeToString(der),
		TwilioAccountSID:          d.AccountSID,
		TwilioAuthToken:           secret.New(d.AuthToken),
		TwilioAPIKey:              d.APIKey,
		TwilioAPISecret:           secret.New(d.APISecret),
		TwilioMessagingServiceSID: d.MessagingServiceSID,
		TwilioFrom:                d.From,
	}
	return nil
}

func newDeployment() (deployment, error) {
	events, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return deployment{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(events)
	if err != nil {
		return deployment{}, err
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // documented never to fail
	return deployment{
		ClientID:     randomURL(32),
		ClientSecret: randomURL(32),
		ProjectID:    "proj_" + randomHex(4),
		SendGridKey:  "SG." + randomURL(16) + "." + randomURL(32),
		// Hexadecimal throughout: Twilio's own Go client refuses credentials
		// that are not alphanumeric.
		AccountSID:          "AC" + randomHex(16),
		AuthToken:           randomHex(16),
		APIKey:              "SK" + randomHex(16),
		APISecret:           randomHex(16),
		MessagingServiceSID: "MG" + randomHex(16),
		From:                "+15005550006", // Twilio's own magic sender
		EventsKey:           pkcs8,
		BearerKey:           seed,
	}, nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // documented never to fail
	return hex.EncodeToString(b)
}

func randomURL(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
