package certs

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// follow finds out anew which paths matter to x, and watches their folders. It
// tells whether other paths do. mu is held.
func (w *Watcher) follow(x *Watch) (changed bool) {
	var trail, folders []string
	for _, file := range x.files {
		trail = append(trail, trailOf(file)...)
	}
	if changed = !slices.Equal(trail, x.trail); changed {
		for _, p := range trail {
			folders = append(folders, filepath.Dir(p))
		}
		w.leave(x)
		x.trail, x.folders = trail, unique(folders)
		w.join(x)
		return true
	}
	for _, folder := range x.folders {
		w.add(folder) // another folder may have the name by now
	}
	return false
}

// join makes the paths of x count.
func (w *Watcher) join(x *Watch) {
	for _, key := range x.keys() {
		w.interest[key] = append(w.interest[key], x)
	}
	for _, folder := range x.folders {
		w.folders[folder]++
		w.add(folder)
	}
}

// leave takes back what join has done.
func (w *Watcher) leave(x *Watch) {
	for _, key := range x.keys() {
		i := slices.Index(w.interest[key], x)
		if w.interest[key] = slices.Delete(w.interest[key], i, i+1); len(w.interest[key]) == 0 {
			delete(w.interest, key)
		}
	}
	for _, folder := range x.folders {
		if w.folders[folder]--; w.folders[folder] > 0 {
			continue
		}
		delete(w.folders, folder)
		if w.notify != nil {
			_ = w.notify.Remove(folder) // gone by itself, when the folder was removed
		}
	}
}

// keys are the paths whose events concern x.
func (x *Watch) keys() []string { return unique(slices.Concat(x.trail, x.folders)) }

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// add watches a folder; to do so again is no mistake.
func (w *Watcher) add(folder string) {
	if w.notify == nil {
		return
	}
	switch err := w.notify.Add(folder); {
	case err == nil, errors.Is(err, fsnotify.ErrClosed):
	case errors.Is(err, fs.ErrNotExist):
		w.blind = true // it went just now, and its parent may not be watched: look again soon
	default:
		w.goBlind(err)
	}
}

// renewFolders watches all folders anew: one may have been replaced unnoticed.
func (w *Watcher) renewFolders() {
	if w.notify == nil {
		return
	}
	w.blind = false
	for folder := range w.folders {
		_ = w.notify.Remove(folder)
		w.add(folder)
	}
}

// goBlind tells once that changes are found by reading alone.
func (w *Watcher) goBlind(err error) {
	w.blind = true
	if !w.told {
		w.told = true
		w.log.Warn("changes of files are not noticed at once but found by reading them again", slog.Duration("every", watchPoll), slog.Any("err", err))
	}
}
