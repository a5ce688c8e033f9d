package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/penstock-edge/penstock/bench"
)

const (
	// maxTargets and maxContent bound what is kept for a run.
	maxTargets = 100_000
	maxContent = 256 << 20
)

// targets are the URL, or those of --urls.
func (o *benchOptions) targets(args []string) (urls []*url.URL, errs []error) {
	var base *url.URL
	if len(args) > 0 {
		u, err := benchURL(args[0])
		if err != nil {
			errs = append(errs, err)
		}
		base = u
	}
	switch {
	case len(errs) > 0: // lines may need the URL to be understood
		if _, err := os.Stat(o.urls); o.urls != "" && err != nil {
			errs = append(errs, fmt.Errorf("--urls %s: %w", o.urls, innermost(err)))
		}
	case o.urls != "":
		urls, errs = readTargets(o.urls, base)
	case base != nil:
		urls = []*url.URL{base}
	default:
		errs = []error{errors.New("the URL is missing; write penstock bench http://HOST:PORT/")}
	}
	if len(urls) > 0 && urls[0].Scheme == "http" && o.protocol == string(bench.H3) {
		errs = append(errs, errors.New("--protocol h3 needs an URL of https"))
	}
	return urls, errs
}

// benchURL reads an URL of http or https.
func benchURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case !strings.Contains(text, "://"):
		return nil, fmt.Errorf("%q: write the URL with its scheme, http://%s", text, strings.TrimPrefix(text, "//"))
	case err != nil:
		return nil, fmt.Errorf("%q is no URL: %w", text, innermost(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q: the scheme must be http or https", text)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q: the host is missing", text)
	case u.User != nil:
		return nil, fmt.Errorf("%q: give credentials as --header \"Authorization: ...\"", u.Redacted())
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// readTargets reads the file of --urls: empty lines and such that begin with # are
// left out, and with a base lines may be paths.
func readTargets(file string, base *url.URL) (urls []*url.URL, errs []error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, []error{fmt.Errorf("--urls %s: %w", file, innermost(err))}
	}
	defer f.Close()
	wrong := func(n int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("--urls %s:%d: %w", file, n, fmt.Errorf(format, args...)))
	}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan() && len(errs) < 10; n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if base != nil && !strings.Contains(text, "://") {
			ref, err := base.Parse(text)
			if err != nil {
				wrong(n, "%q is no path: %w", text, innermost(err))
				continue
			}
			text = ref.String()
		}
		u, err := benchURL(text)
		switch {
		case err != nil:
			wrong(n, "%w", err)
		case len(urls) > 0 && (u.Scheme != urls[0].Scheme || u.Host != urls[0].Host):
			wrong(n, "%q: all URLs must have the scheme and host of the first, %s://%s", text, urls[0].Scheme, urls[0].Host)
		case len(urls) == maxTargets:
			wrong(n, "more than %d URLs", maxTargets)
			return urls, errs
		default:
			urls = append(urls, u)
		}
	}
	if err := lines.Err(); err != nil {
		wrong(len(urls)+1, "%w", err)
	}
	if len(urls) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("--urls %s: has no URL", file))
	}
	return urls, errs
}

// content is the body of each request; nil: there is none.
func (o *benchOptions) content(stdin io.Reader) ([]byte, error) {
	switch {
	case o.body != "" && o.data != "":
		return nil, errors.New("--body and --data exclude each other")
	case o.data != "":
		return []byte(o.data), nil
	case o.body == "":
		return nil, nil
	}
	name := strings.TrimPrefix(o.body, "@") // as curl writes files
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--body %s: %w; for a text use --data", o.body, innermost(err))
		}
		defer f.Close()
		from = f
	}
	content, err := io.ReadAll(io.LimitReader(from, maxContent+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("--body %s: %w", o.body, innermost(err))
	case len(content) > maxContent:
		return nil, fmt.Errorf("--body %s: more than %d MiB", o.body, maxContent>>20)
	}
	return content, nil
}
