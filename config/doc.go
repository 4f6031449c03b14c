// Package config reads the service's configuration: a YAML file, environment
// variables over it, and files that hold secrets.
//
// It owns the names of all settings, their defaults and their validation, and
// reports every fault at once, each with the name of the variable or key and
// what to do. It must not connect to anything, must not print a secret, and
// knows nothing of what the settings do.
//
// # Where a setting comes from
//
// Precedence: the environment variable, the file named by the variable with
// the suffix _FILE, the YAML key, the file named by the YAML key with the
// suffix _file, the default. Giving the same setting both ways in one place
// is a fault. An empty environment variable counts as unset, because Compose
// and similar tools pass on missing values that way.
//
// # Projects
//
// One product needs no file: the environment variables compose the project
// "default". Several products come from the file's list of projects; the
// environment variables of a project then apply to the one called "default",
// or to the only one.
//
// # How to add a setting
//
// Add a field to the type in types.go and a line to settings.go (of the process)
// or projects.go (of a project), with its help. Add both spellings to
// .env.example and connectlink.example.yaml; tests compare them. Then run
// go test ./internal/structure -update, which writes docs/configuration.md.
// A rule between two settings belongs into load.go, with an error that names
// the setting and the fix.
package config
