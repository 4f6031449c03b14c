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
// First the environment variable, then the file that the variable with _FILE
// behind its name points to, then the YAML key, then the file the YAML key
// with _file behind its name points to, then the default. Giving the same
// setting both ways in one place is a fault. An empty environment variable
// counts as unset, because Compose and its like pass on what is missing that
// way.
//
// # Projects
//
// One product needs no file: the environment variables compose the project
// "default". Several products come from the file's list of projects; the
// environment variables of a project then apply to the one called "default",
// or to the only one.
package config
