package kmstest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// vaultFaults are Vault's answers (https://developer.hashicorp.com/vault/api-docs#http-status-codes).
func vaultFaults() faults {
	return faults{
		busy: func(w http.ResponseWriter) { vaultError(w, http.StatusServiceUnavailable, "Vault is sealed") },
		denied: func(w http.ResponseWriter) {
			vaultError(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
		},
	}
}

func vaultError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {message}})
}

// serveVault answers transit's encrypt and decrypt
// (https://developer.hashicorp.com/vault/api-docs/secret/transit#encrypt-data).
func (s *Server) serveVault(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Vault-Token") != vaultToken {
		vaultFaults().denied(w)
		return
	}
	method, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/transit/"), "/")
	var in struct {
		Plaintext  string `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
		Associated string `json:"associated_data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		vaultError(w, http.StatusBadRequest, "failed to parse JSON input")
		return
	}
	s.record(Call{Host: r.Host, Method: method, Key: key, Associated: in.Associated})
	associated, err := base64.StdEncoding.DecodeString(in.Associated)
	if err != nil {
		vaultError(w, http.StatusBadRequest, "failed to decode associated_data")
		return
	}
	data := map[string]any{}
	switch {
	case strings.HasSuffix(key, "missing"):
		vaultError(w, http.StatusBadRequest, "encryption key not found")
		return
	case method == "encrypt":
		plain, err := base64.StdEncoding.DecodeString(in.Plaintext)
		if err != nil {
			vaultError(w, http.StatusBadRequest, "failed to base64-decode plaintext")
			return
		}
		data["ciphertext"], data["key_version"] = "vault:v1:"+base64.StdEncoding.EncodeToString(box(key).Seal(nil, nil, plain, associated)), 1
	case method == "decrypt":
		text, ok := strings.CutPrefix(in.Ciphertext, "vault:v1:")
		sealed, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil {
			vaultError(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		plain, err := box(key).Open(nil, nil, sealed, associated)
		if err != nil {
			vaultError(w, http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		data["plaintext"] = base64.StdEncoding.EncodeToString(plain)
	default:
		vaultError(w, http.StatusNotFound, "unsupported path")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"request_id": "1", "data": data})
}
