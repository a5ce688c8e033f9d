package handler

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
)

const (
	// maxToken bounds a bearer token; those of issuers with many groups reach a few
	// KiB. TestBearerHostile crosses it.
	maxToken = 16 << 10
	// maxTokenFile bounds the file that is read: some 100 000 tokens.
	// TestTokenFileBad crosses it.
	maxTokenFile = 8 << 20
)

// A TokenAuthenticator knows users by a token. Its results are an Authenticator's.
type TokenAuthenticator interface {
	AuthenticateToken(x *Exchange, token string) (u *User, ok bool, err error)
}

// BearerToken takes the token from Authorization (RFC 6750 §2.1) and asks one after
// the other. A token that none of them knows, a malformed one, and one beside
// another Authorization are errors; other schemes are no opinion.
func BearerToken(as ...TokenAuthenticator) Authenticator { return bearer(as) }

type bearer []TokenAuthenticator

var (
	errBearer  = errors.New("malformed bearer token")
	errUnknown = errors.New("unknown bearer token")
)

func (b bearer) Authenticate(x *Exchange) (*User, bool, error) {
	token, err := bearerToken(x.Request.Header["Authorization"])
	if token == "" {
		return nil, false, err
	}
	var errs []error
	for _, a := range b {
		u, ok, err := a.AuthenticateToken(x, token)
		if err == nil && ok {
			return u, true, nil
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if errs == nil {
		return nil, false, errUnknown
	}
	return nil, false, errors.Join(errs...)
}

// bearerToken is the token, or empty.
func bearerToken(values []string) (string, error) {
	const scheme = "bearer"
	found := ""
	for _, v := range values {
		v = strings.Trim(v, " \t")
		// RFC 9110 §11.1: the scheme in any letter case.
		if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
			continue
		}
		if len(v) > len(scheme) && v[len(scheme)] != ' ' && v[len(scheme)] != '\t' {
			continue // another scheme, of a longer name
		}
		// Two fields are read by two programs as two users.
		if found = strings.Trim(v[len(scheme):], " "); len(values) > 1 || !isToken68(found) {
			return "", errBearer
		}
	}
	return found, nil
}

// isToken68 checks the grammar of a token (RFC 6750 §2.1: b64token).
func isToken68(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return s != ""
}

// TokenFile knows users by tokens in a file, in kube-apiserver's form: lines of
// token,user,uid and, if wanted, "group1,group2". Tokens are kept and compared as
// keyed hashes, never as they are.
type TokenFile struct {
	path  string
	hash  *secretHash
	users atomic.Pointer[map[[32]byte]*User]
}

// NewTokenFile reads the file.
func NewTokenFile(path string) (*TokenFile, error) {
	f := &TokenFile{path: path, hash: newSecretHash()}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file again. On an error the tokens known until then stay. It may
// be called by any goroutine, at any time.
func (f *TokenFile) Reload() error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	defer file.Close()
	users, err := readTokens(file, f.hash)
	if err != nil {
		return fmt.Errorf("token file %s: %w", f.path, err)
	}
	f.users.Store(&users)
	return nil
}

// AuthenticateToken looks the token up; it has no opinion on others.
func (f *TokenFile) AuthenticateToken(_ *Exchange, token string) (*User, bool, error) {
	u, ok := (*f.users.Load())[f.hash.sum(token)]
	return u, ok, nil
}

// readTokens reads the lines. Errors name a line, never what is in it. Also as
// there, lines with an empty token are left out and columns after the fourth are
// ignored; a token that comes twice, or names nobody, is an error.
func readTokens(r io.Reader, hash *secretHash) (map[[32]byte]*User, error) {
	limited := &io.LimitedReader{R: r, N: maxTokenFile + 1}
	lines := csv.NewReader(limited)
	lines.FieldsPerRecord = -1
	users := make(map[[32]byte]*User)
	for {
		record, err := lines.Read()
		if limited.N == 0 {
			return nil, fmt.Errorf("more than %d bytes", maxTokenFile)
		}
		if err == io.EOF {
			return users, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := lines.FieldPos(0)
		switch {
		case len(record) < 3:
			return nil, fmt.Errorf("line %d: %d columns, at least token, user and uid are needed", line, len(record))
		case record[0] == "":
			continue
		case !isToken68(record[0]):
			return nil, fmt.Errorf("line %d: the token has characters that no bearer token has, or more than %d bytes", line, maxToken)
		case record[1] == "":
			return nil, fmt.Errorf("line %d: no user", line)
		}
		key := hash.sum(record[0])
		if _, twice := users[key]; twice {
			return nil, fmt.Errorf("line %d: a token for the second time", line)
		}
		u := &User{Name: record[1], UID: record[2]}
		if len(record) > 3 && record[3] != "" {
			u.Groups = strings.Split(record[3], ",")
		}
		users[key] = u
	}
}
