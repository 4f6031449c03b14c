package kms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// openVault opens a key of Vault's transit engine. The address is the URI's, always with
// TLS; VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY
// apply.
func openVault(uri string) (*Key, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, ErrURI
	}
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, fmt.Errorf("read the variables of Vault: %w", cfg.Error)
	}
	cfg.Address, cfg.AgentAddress = "https://"+u.Host, ""
	cfg.MaxRetries, cfg.Timeout = 0, callWithin // Retry does
	if t, ok := cfg.HttpClient.Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		t.TLSClientConfig.InsecureSkipVerify = false // VAULT_SKIP_VERIFY: the token and the data key pass here
	}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("open the client of Vault: %w", err)
	}
	if client.Token() == "" {
		return nil, errors.New("no token for Vault: set VAULT_TOKEN")
	}
	aead, err := hcvault.NewAEAD(u.EscapedPath(), client.Logical())
	if err != nil {
		return nil, ErrURI
	}
	return &Key{host: u.Host, aead: withContext{aead}, fault: vaultFault}, nil
}

// vaultFault reads an error of Vault's client. 412, 472 and 473 are states of a cluster's
// node (https://developer.hashicorp.com/vault/api-docs#http-status-codes).
func vaultFault(err error) (answer, bool) {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return answer{}, false
	}
	a := answer{status: response.StatusCode, later: response.StatusCode == http.StatusPreconditionFailed || response.StatusCode == 472 || response.StatusCode == 473}
	if !response.RawError { // else a page of something between
		a.text = strings.Join(response.Errors, "; ")
	}
	return a, true
}

// withContext bounds the calls of a library that takes no context. A call that was given up
// ends with its client's timeout.
type withContext struct{ aead tink.AEAD }

type reply struct {
	out []byte
	err error
}

func (w withContext) call(ctx context.Context, f func(text, associated []byte) ([]byte, error), text, associated []byte) ([]byte, error) {
	done := make(chan reply, 1)
	go func() {
		out, err := f(text, associated)
		done <- reply{out, err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// EncryptWithContext implements tink.AEADWithContext.
func (w withContext) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return w.call(ctx, w.aead.Encrypt, plaintext, associatedData)
}

// DecryptWithContext implements tink.AEADWithContext.
func (w withContext) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return w.call(ctx, w.aead.Decrypt, ciphertext, associatedData)
}
