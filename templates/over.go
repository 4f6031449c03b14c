package templates

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// maxFile bounds a custom file; the largest of ours has 10 KB.
const maxFile = 128 << 10

// Over lays a folder of a project's own texts over the built-in ones, file by
// file: what it holds replaces the file of the same name, what it lacks stays.
// A language that there is none of yet is added by a complete folder.
//
// Its files are templates and styles only; scripts, and files outside the
// folder, also by a symbolic link, are refused. The error joins all faults,
// each with the name of its file; faults inside templates are found by their
// parser.
func Over(folder string) (fs.FS, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open the folder of templates: %w", err)
	}
	own := root.FS()
	known := names()
	var faults []error
	add := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: "+format, append([]any{path.Join(folder, name)}, args...)...))
	}
	found := 0
	err = fs.WalkDir(own, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && name != "." {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // an editor's, or the version control's
		}
		if d.IsDir() {
			return nil
		}
		found++
		first, rest, _ := strings.Cut(name, "/")
		switch {
		case !d.Type().IsRegular():
			add(name, "want a file, not a link or a device")
			return nil
		case first == "layout" && strings.HasSuffix(name, ".js"):
			add(name, "scripts are not replaced")
			return nil
		case !slices.Contains(known, name) && (first == "layout" || !slices.Contains(known, "en/"+rest)):
			add(name, "nothing reads a file of this name; the built-in ones are listed by `connectlink templates list`")
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxFile {
			add(name, "want a readable file of at most %d KB", maxFile>>10)
		}
		return nil
	})
	if err != nil {
		faults = append(faults, fmt.Errorf("read %s: %w", folder, err))
	} else if found == 0 {
		faults = append(faults, fmt.Errorf("%s: holds no file", folder))
	}
	if len(faults) > 0 {
		return nil, errors.Join(append(faults, root.Close())...)
	}
	return layered{over: own, under: FS}, nil
}

// Names lists the built-in files, in order.
func Names() []string { return names() }

func names() []string {
	var out []string
	_ = fs.WalkDir(FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, name)
		}
		return err // the embedded files cannot fail
	})
	return out
}

// layered is two file systems seen as one.
type layered struct{ over, under fs.FS }

// Open gives the file of the upper layer where it has one.
func (l layered) Open(name string) (fs.File, error) {
	f, err := l.over.Open(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	return l.under.Open(name)
}

// ReadDir lists a folder of both layers, each name once, hidden ones left out.
func (l layered) ReadDir(name string) ([]fs.DirEntry, error) {
	over, errOver := fs.ReadDir(l.over, name)
	under, errUnder := fs.ReadDir(l.under, name)
	if errOver != nil && errUnder != nil {
		return nil, errUnder
	}
	var out []fs.DirEntry
	for _, e := range append(over, under...) {
		twice := slices.ContainsFunc(out, func(o fs.DirEntry) bool { return o.Name() == e.Name() })
		if !twice && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}
