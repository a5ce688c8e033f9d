package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
)

// VersionInfo tells what a binary was built from. It is the body of /version.
type VersionInfo struct {
	// Version is the module's version, "devel" for a build of a work tree.
	Version string `json:"version"`
	// Commit is the revision in version control, with "+dirty" if files were changed.
	Commit string `json:"commit,omitempty"`
	// CommitTime is when the commit was made, RFC 3339.
	CommitTime string `json:"commitTime,omitempty"`
	// Go is the toolchain, Platform operating system and architecture.
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// QUIC is the version of the QUIC library, if one is linked in.
	QUIC string `json:"quic,omitempty"`
	// Tags are the build tags.
	Tags []string `json:"tags,omitempty"`
}

const quicModule = "github.com/quic-go/quic-go"

// BuildVersion reads what the linker left in the running binary.
func BuildVersion() VersionInfo {
	info := VersionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if v := build.Main.Version; v != "" && v != "(devel)" {
		info.Version = v
	}
	for _, s := range build.Settings {
		info.apply(s)
	}
	for _, dep := range build.Deps {
		if dep.Path == quicModule {
			info.QUIC = dep.Version
		}
	}
	return info
}

func (v *VersionInfo) apply(s debug.BuildSetting) {
	switch {
	case s.Key == "vcs.revision":
		v.Commit = s.Value + v.Commit
	case s.Key == "vcs.modified" && s.Value == "true":
		v.Commit += "+dirty"
	case s.Key == "vcs.time":
		v.CommitTime = s.Value
	case s.Key == "-tags" && s.Value != "":
		v.Tags = strings.Split(s.Value, ",")
	}
}

// String is one line for people.
func (v VersionInfo) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "penstock %s", v.Version)
	if v.Commit != "" {
		fmt.Fprintf(&b, " (%s)", v.Commit)
	}
	fmt.Fprintf(&b, " %s %s", v.Go, v.Platform)
	if v.QUIC != "" {
		fmt.Fprintf(&b, " quic-go %s", v.QUIC)
	}
	if len(v.Tags) > 0 {
		fmt.Fprintf(&b, " tags %s", strings.Join(v.Tags, ","))
	}
	return b.String()
}

// JSON is the body of /version, with a newline at its end.
func (v VersionInfo) JSON() []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("BUG: a struct of strings does not marshal: " + err.Error())
	}
	return append(b, '\n')
}

// Version answers with what the server was built from, as JSON. It makes the
// promise of RecycleRequests and allocates nothing.
type Version struct{ page *page }

// NewVersion renders info once.
func NewVersion(info VersionInfo) *Version {
	return &Version{newPage(http.StatusOK, jsonType, info.JSON())}
}

// ServeHTTP answers GET and HEAD, whatever the path.
func (v *Version) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Cache-Control"] = noCache
	if onlyGetAndHead(w, r) {
		v.page.serve(w, r)
	}
}

// RecycleRequests tells the engine that nothing of a request is kept.
func (v *Version) RecycleRequests() bool { return true }
