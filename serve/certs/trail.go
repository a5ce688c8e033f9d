package certs

import (
	"os"
	"path/filepath"
	"strings"
)

// trailLinks bounds the links of one path, as Linux does.
const trailLinks = 40

// trailOf lists the paths whose change may make file another one: the file
// itself, by its folder's real name, and each link on the way to it. Of what does
// not exist it names the first part that is missing.
func trailOf(file string) []string {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil
	}
	root := filepath.VolumeName(abs) + string(filepath.Separator)
	at, ahead := root, parts(abs[len(root):])
	var trail []string
	for links := 0; len(ahead) > 0; {
		part := ahead[0]
		ahead = ahead[1:]
		if part == ".." { // of a link's target; at is real, so this is its parent
			at = filepath.Dir(at)
			continue
		}
		p := filepath.Join(at, part)
		info, err := os.Lstat(p)
		if err != nil {
			return append(trail, p)
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at = p
			continue
		}
		trail = append(trail, p)
		target, err := os.Readlink(p)
		if links++; err != nil || links > trailLinks {
			return trail
		}
		if filepath.IsAbs(target) {
			root = filepath.VolumeName(target) + string(filepath.Separator)
			at, target = root, strings.TrimPrefix(target, root)
		}
		ahead = append(parts(target), ahead...)
	}
	return append(trail, at)
}

// parts are the names in a path.
func parts(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(path)+"/", func(r rune) bool { return r == '/' })
}
