package config

import (
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
)

var (
	appleApp       = regexp.MustCompile(`^[A-Z0-9]{10}\.[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)
	androidPackage = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)
)

func checkAppleApp(s string) (string, error) {
	if len(s) > 200 || !appleApp.MatchString(s) {
		return "", errors.New("want the team and the bundle's id, such as A1B2C3D4E5.example.acme.app")
	}
	return s, nil
}

// checkAndroidApp returns the fingerprint as Google writes it, whether it was
// given with colons or without.
func checkAndroidApp(s string) (string, error) {
	name, fingerprint, _ := strings.Cut(s, "=")
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(fingerprint), ":", ""))
	name = strings.TrimSpace(name)
	if len(name) > 200 || !androidPackage.MatchString(name) || err != nil || len(raw) != 32 {
		return "", errors.New("want the package, = and the SHA-256 of its signing certificate, such as example.acme.app=14:6D:…")
	}
	pairs := make([]string, len(raw))
	for i, b := range raw {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return name + "=" + strings.Join(pairs, ":"), nil
}

// SplitAndroidApp takes an entry of Project.AndroidApps apart.
func SplitAndroidApp(s string) (pkg, fingerprint string) {
	pkg, fingerprint, _ = strings.Cut(s, "=")
	return pkg, fingerprint
}
