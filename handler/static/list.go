package static

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

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

type listing struct {
	Title  string
	Parent bool
	Files  []listed
	Cut    bool
}

type listed struct {
	Name string
	Href template.URL
	Size string
	Time string
	dir  bool
}

// list answers with the files of a directory. A listing is made anew for each
// request.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, dir string) {
	page, err := h.readListing(dir)
	if err != nil {
		openStatus(err).serve(w, r)
		return
	}
	page.Title = "Files in " + r.URL.Path
	out := bufpool.GetRender()
	defer bufpool.PutRender(out)
	if err := listTemplate.Execute(out, page); err != nil {
		internalError.serve(w, r)
		return
	}
	fields := w.Header()
	fields["Content-Type"] = textHTML
	fields["Content-Length"] = []string{strconv.Itoa(out.Len())}
	fields["X-Content-Type-Options"] = nosniff
	fields["Content-Security-Policy"] = listCSP
	fields["Cache-Control"] = noCache
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.B)
	}
}

func (h *Handler) readListing(dir string) (*listing, error) {
	f, info, err := h.open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !info.IsDir() {
		return nil, fs.ErrNotExist
	}
	entries, err := f.ReadDir(maxListed + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	page := &listing{Parent: dir != ".", Cut: len(entries) > maxListed}
	for _, entry := range entries[:min(len(entries), maxListed)] {
		if l, ok := h.describe(dir, entry); ok {
			page.Files = append(page.Files, l)
		}
	}
	slices.SortFunc(page.Files, compareListed)
	return page, nil
}

// describe leaves out what a request would not get: hidden names, special
// files, links that lead out of the root.
func (h *Handler) describe(dir string, entry fs.DirEntry) (listed, bool) {
	name := entry.Name()
	if !visible(dir, name) || strings.ContainsAny(name, "\\\x00") {
		return listed{}, false
	}
	info, err := entry.Info()
	if err == nil && entry.Type()&fs.ModeSymlink != 0 {
		info, err = h.root.Stat(dir + "/" + name)
	}
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return listed{}, false
	}
	l := listed{
		Name: name, dir: info.IsDir(),
		Href: template.URL("./" + url.PathEscape(name)), // escaped, and relative by its "./"
		Time: info.ModTime().UTC().Format("2006-01-02 15:04"),
		Size: formatSize(info.Size()),
	}
	if l.dir {
		l.Name, l.Href, l.Size = name+"/", l.Href+"/", ""
	}
	return l, true
}

func compareListed(a, b listed) int {
	if a.dir != b.dir {
		if a.dir {
			return -1
		}
		return 1
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
