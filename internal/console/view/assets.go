package view

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
)

// Asset is a file that pages load: style or script. Its address holds a part of
// its digest, so that browsers may keep it for good.
type Asset struct {
	URL  string
	Type string
	Body []byte
}

func readAssets(fsys fs.FS) (map[string]Asset, error) {
	out := map[string]Asset{}
	for name, kind := range map[string]string{
		"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read the console's %s: %w", name, err)
		}
		sum := sha256.Sum256(body)
		out[name] = Asset{URL: "/console/static/" + hex.EncodeToString(sum[:8]) + "/" + name, Type: kind, Body: body}
	}
	return out, nil
}

// Asset finds a file by its address, "0123456789abcdef/console.css".
func (p *Pages) Asset(name string) (Asset, bool) {
	a, ok := p.assets[path.Base(name)]
	return a, ok && a.URL == "/console/static/"+name
}
