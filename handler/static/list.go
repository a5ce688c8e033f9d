package static

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// maxListed bounds the memory and the page of one listing.
const maxListed = 10_000

//go:embed list.html
var listHTML string

// listTemplate escapes names by where they stand; it is read only.
var listTemplate = template.Must(template.New("list").Parse(listHTML))

// listCSP: names come from whoever may write files; nothing of them runs.
var listCSP = []string{"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"}

// listing is a directory as the page and the JSON document show it.
type listing struct {
	Path   string   `json:"path"`
	Parent bool     `json:"-"` // there is one
	Files  []listed `json:"files"`
	Cut    bool     `json:"cut"` // there are more
}

type listed struct {
	Name     string       `json:"name"`
	Type     listedType   `json:"type"`
	Size     int64        `json:"size,omitzero"` // of a file
	Modified time.Time    `json:"modified"`
	Href     template.URL `json:"href"`
}

type listedType string

const (
	typeFile      listedType = "file"
	typeDirectory listedType = "directory"
)

// Label, Length and Date are what the page shows.
func (l listed) Label() string {
	if l.Type == typeDirectory {
		return l.Name + "/"
	}
	return l.Name
}

// Length: see Label.
func (l listed) Length() string {
	if l.Type == typeDirectory {
		return ""
	}
	return formatSize(l.Size)
}

// Date: see Label.
func (l listed) Date() string { return l.Modified.Format("2006-01-02 15:04") }

// list answers with the files of a directory, as a page, or as JSON where that is
// liked better. A listing is made anew for each request.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, dir string) {
	page, err := h.readListing(dir)
	if err != nil {
		h.refuse(w, r, openStatus(err))
		return
	}
	page.Path = r.URL.Path
	out := bufpool.GetRender()
	defer bufpool.PutRender(out)
	fields := w.Header()
	if prefersJSON(r.Header["Accept"]) {
		fields["Content-Type"] = jsonType
		err = json.NewEncoder(out).Encode(page)
	} else {
		fields["Content-Type"] = textHTML
		fields["Content-Security-Policy"] = listCSP
		err = listTemplate.Execute(out, page)
	}
	if err != nil {
		internalError.serve(w, r)
		return
	}
	fields["Content-Length"] = []string{strconv.Itoa(out.Len())}
	fields["X-Content-Type-Options"] = nosniff
	fields["Cache-Control"] = noCache
	fields["Vary"] = varyAccept
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.B)
	}
}

// readListing reads a directory below the root. What its files are is asked by a
// root of its own: a path made of names would leave it where somebody moves
// directories meanwhile.
func (h *Handler) readListing(dir string) (*listing, error) {
	root, err := h.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxListed + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	page := &listing{Parent: dir != ".", Files: []listed{}, Cut: len(entries) > maxListed}
	for _, entry := range entries[:min(len(entries), maxListed)] {
		if l, ok := h.describe(root, dir, entry); ok {
			page.Files = append(page.Files, l)
		}
	}
	slices.SortFunc(page.Files, compareListed)
	return page, nil
}

// describe leaves out what a request would not get: hidden names, special
// files, links that lead out of the root.
func (h *Handler) describe(root *os.Root, dir string, entry fs.DirEntry) (listed, bool) {
	name := entry.Name()
	if !visible(dir, name) || strings.ContainsAny(name, "\\\x00") || !utf8.ValidString(name) {
		return listed{}, false
	}
	info, err := root.Lstat(name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		info, err = h.root.Stat(below(dir, name)) // it may lead out of the directory
	}
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return listed{}, false
	}
	l := listed{
		Name: name, Type: typeFile, Size: info.Size(),
		Modified: info.ModTime().UTC().Truncate(time.Second),
		Href:     template.URL("./" + url.PathEscape(name)), // escaped, and relative by its "./"
	}
	if info.IsDir() {
		l.Type, l.Size = typeDirectory, 0
		l.Href += "/"
	}
	return l, true
}

func compareListed(a, b listed) int {
	if a.Type != b.Type {
		return strings.Compare(string(a.Type), string(b.Type)) // directories first
	}
	return strings.Compare(a.Name, b.Name)
}

func formatSize(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1024 && unit < len(sizeUnits)-1 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %s", value, sizeUnits[unit])
}

var sizeUnits = [...]string{"KiB", "MiB", "GiB", "TiB", "PiB"}
