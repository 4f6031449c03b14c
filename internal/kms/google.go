package kms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

const (
	googleHost  = "cloudkms.googleapis.com"
	googleScope = "https://www.googleapis.com/auth/cloudkms"
	// maxGoogleAnswer is more than Cloud KMS answers: it encrypts 64 KiB at most
	// (https://cloud.google.com/kms/quotas).
	maxGoogleAnswer = 1 << 18
)

// googleKey calls the REST interface of Cloud KMS
// (https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys),
// with the checksums of https://cloud.google.com/kms/docs/data-integrity-guidelines.
// Ciphertexts are those of Tink's gcpkms. That package is not used: it links gRPC for either
// of its transports.
type googleKey struct {
	name   string // projects/…/cryptoKeys/…
	client *http.Client
}

// openGoogle opens a key of Cloud KMS with application default credentials.
func openGoogle(ctx context.Context, name string) (*Key, error) {
	// The tokens are fetched later, by calls with a context of their own.
	source, err := google.DefaultTokenSource(context.WithoutCancel(ctx), googleScope)
	if err != nil {
		return nil, fmt.Errorf("find Google's application default credentials: %w", err)
	}
	client := oauth2.NewClient(context.WithoutCancel(ctx), source)
	client.Timeout = callWithin
	return &Key{host: googleHost, aead: &googleKey{name: name, client: client}, fault: googleFault}, nil
}

// checksum is a CRC32C, which Google's JSON writes as a string, as all 64-bit numbers.
type checksum int64

func checksumOf(b []byte) checksum {
	return checksum(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// MarshalJSON implements json.Marshaler.
func (c checksum) MarshalJSON() ([]byte, error) { return json.Marshal(strconv.FormatInt(int64(c), 10)) }

// UnmarshalJSON implements json.Unmarshaler.
func (c *checksum) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	*c = checksum(n)
	return err
}

type encryptRequest struct {
	Plaintext     []byte   `json:"plaintext"`
	PlaintextSum  checksum `json:"plaintextCrc32c"`
	Associated    []byte   `json:"additionalAuthenticatedData"`
	AssociatedSum checksum `json:"additionalAuthenticatedDataCrc32c"`
}

type encryptResponse struct {
	Ciphertext         []byte   `json:"ciphertext"`
	CiphertextSum      checksum `json:"ciphertextCrc32c"`
	VerifiedPlaintext  bool     `json:"verifiedPlaintextCrc32c"`
	VerifiedAssociated bool     `json:"verifiedAdditionalAuthenticatedDataCrc32c"`
}

type decryptRequest struct {
	Ciphertext    []byte   `json:"ciphertext"`
	CiphertextSum checksum `json:"ciphertextCrc32c"`
	Associated    []byte   `json:"additionalAuthenticatedData"`
	AssociatedSum checksum `json:"additionalAuthenticatedDataCrc32c"`
}

type decryptResponse struct {
	Plaintext    []byte   `json:"plaintext"`
	PlaintextSum checksum `json:"plaintextCrc32c"`
}

// errCorrupted: a checksum does not fit. Google's guidelines ask for a retry.
var errCorrupted = errors.New("the request or the answer was altered on its way: a checksum does not fit")

// EncryptWithContext implements tink.AEADWithContext.
func (k *googleKey) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	var out encryptResponse
	err := k.post(ctx, "encrypt", encryptRequest{plaintext, checksumOf(plaintext), associatedData, checksumOf(associatedData)}, &out)
	if err != nil {
		return nil, err
	}
	if !out.VerifiedPlaintext || !out.VerifiedAssociated || out.CiphertextSum != checksumOf(out.Ciphertext) {
		return nil, errCorrupted
	}
	return out.Ciphertext, nil
}

// DecryptWithContext implements tink.AEADWithContext.
func (k *googleKey) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	var out decryptResponse
	err := k.post(ctx, "decrypt", decryptRequest{ciphertext, checksumOf(ciphertext), associatedData, checksumOf(associatedData)}, &out)
	if err != nil {
		return nil, err
	}
	if out.PlaintextSum != checksumOf(out.Plaintext) {
		return nil, errCorrupted
	}
	return out.Plaintext, nil
}

// googleError is an answer with an error (https://cloud.google.com/apis/design/errors).
type googleError struct {
	status int
	body   struct {
		Error struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"error"`
	}
}

// Error implements error.
func (e *googleError) Error() string { return "status " + strconv.Itoa(e.status) }

func (k *googleKey) post(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+googleHost+"/v1/"+k.name+":"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxGoogleAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		fault := &googleError{status: resp.StatusCode}
		_ = json.Unmarshal(answer, &fault.body) // a page of something between tells no more than its status
		return fault
	}
	if json.Unmarshal(answer, out) != nil {
		return errCorrupted // the parser's message may quote the answer
	}
	return nil
}

// googleFault reads an answer with an error, of Cloud KMS or of the token's issuer.
func googleFault(err error) (answer, bool) {
	var fault *googleError
	if errors.As(err, &fault) {
		return answer{status: fault.status, code: fault.body.Error.Status, text: fault.body.Error.Message}, true
	}
	var token *oauth2.RetrieveError
	if errors.As(err, &token) && token.Response != nil {
		return answer{status: token.Response.StatusCode, code: token.ErrorCode, text: "no access token was issued"}, true
	}
	return answer{}, false
}
