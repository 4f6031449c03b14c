// Package resource is the public JSON of an invite: what the API answers with,
// what webhooks carry and what an export contains.
//
// Present opens what the asker may see. Names and shapes here are a contract with
// callers, so they do not follow the database's; httpapi/openapi.yaml describes them.
// It reads and writes nothing.
//
// # How to add a member
//
// Add the field here with its JSON name, fill it in Present, and describe it in
// the API's document; members are added and never renamed or removed.
package resource
