package kmstest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// awsFaults are AWS's answers (https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html).
func awsFaults() faults {
	return faults{
		busy: func(w http.ResponseWriter) { awsError(w, "ThrottlingException", "Rate exceeded") },
		denied: func(w http.ResponseWriter) {
			awsError(w, "AccessDeniedException", "User: arn:aws:iam::111122223333:user/app is not authorized to perform: kms:Decrypt")
		},
	}
}

// awsError answers in the protocol AWS JSON 1.1
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
func awsError(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}

// serveAWS answers Encrypt and Decrypt
// (https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html). A ciphertext begins
// with its key.
func (s *Server) serveAWS(w http.ResponseWriter, r *http.Request) {
	signed := regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=` + accessKey + `/\d{8}/` + Region + `/kms/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$`)
	if !signed.MatchString(r.Header.Get("Authorization")) {
		awsError(w, "UnrecognizedClientException", "The security token included in the request is invalid.")
		return
	}
	var in struct {
		KeyID             string            `json:"KeyId"`
		Plaintext         []byte            `json:"Plaintext"`
		CiphertextBlob    []byte            `json:"CiphertextBlob"`
		EncryptionContext map[string]string `json:"EncryptionContext"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		awsError(w, "SerializationException", "")
		return
	}
	context, err := json.Marshal(in.EncryptionContext) // sorted by name
	if err != nil {
		panic(err)
	}
	method := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	s.record(Call{Host: r.Host, Method: method, Key: in.KeyID, Associated: string(context)})
	out := map[string]any{"KeyId": in.KeyID}
	prefix := []byte(in.KeyID + "\n")
	switch {
	case strings.HasSuffix(in.KeyID, "missing"):
		awsError(w, "NotFoundException", "Key '"+in.KeyID+"' does not exist")
		return
	case method == "Encrypt" && len(in.Plaintext) > 4096:
		awsError(w, "ValidationException", "Member must have length less than or equal to 4096")
		return
	case method == "Encrypt":
		out["CiphertextBlob"] = append(prefix, box(in.KeyID).Seal(nil, nil, in.Plaintext, context)...)
	case method == "Decrypt":
		sealed, ok := bytes.CutPrefix(in.CiphertextBlob, prefix)
		if !ok && bytes.HasPrefix(in.CiphertextBlob, []byte("arn:")) {
			awsError(w, "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
			return
		}
		plain, err := box(in.KeyID).Open(nil, nil, sealed, context)
		if err != nil || !ok {
			awsError(w, "InvalidCiphertextException", "")
			return
		}
		out["Plaintext"] = plain
	default:
		awsError(w, "UnknownOperationException", "")
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(out)
}
