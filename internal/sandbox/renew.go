package sandbox

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/connectlink/connectlink/internal/seal"
)

// What renewing the sandbox's rows under another key needs to know of them.

// DeploymentID is the id that the credentials are sealed for.
func DeploymentID() uuid.UUID { return deploymentID }

// RecipientOf returns the address of an opened message; ok is false without one.
func RecipientOf(opened []byte) (to string, ok bool) {
	var c content
	if json.Unmarshal(opened, &c) != nil {
		return "", false
	}
	return c.To, true
}

// AddressHashes are the hashes by which an address is found, one per live key, the
// primary key's first.
func AddressHashes(box *seal.Box, to string) []seal.Hash { return box.Hashes(addressHash, fold(to)) }

// UserOf returns the external user of an opened account; ok is false without one.
func UserOf(opened []byte) (user string, ok bool) {
	var c accountContent
	if json.Unmarshal(opened, &c) != nil {
		return "", false
	}
	return c.ExternalUserID, true
}

// UserHashes are the hashes by which a user's accounts are found, one per live key, the
// primary key's first.
func UserHashes(box *seal.Box, user string) []seal.Hash { return box.Hashes(userHash, user) }
