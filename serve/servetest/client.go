package servetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// bufferBytes bounds an answer's head, and is what Check sees of a body.
const bufferBytes = 64 << 10

// errIdleClosed: the server closed a kept connection before any byte of an answer.
var errIdleClosed = errors.New("servetest: kept connection closed before an answer")

// A client is one connection and what was read of it. It is used by one goroutine.
type client struct {
	conn   net.Conn
	buf    []byte // read and not yet used: buf[from:to]
	from   int
	to     int
	served int // complete answers so far
}

// An answer is a final response that was read to its end. body is valid until
// the next exchange and cut at bufferBytes.
type answer struct {
	status int
	body   []byte
	close  bool
}

func newClient(conn net.Conn) *client {
	return &client{conn: conn, buf: make([]byte, 4<<10)}
}

// exchange writes the request and reads its final answer, within the deadline.
func (c *client) exchange(request []byte, noBody bool, deadline time.Time) (answer, error) {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return answer{}, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return answer{}, c.asIdle(err)
	}
	for {
		a, length, err := c.readHead()
		if err != nil {
			return answer{}, err
		}
		if a.status < 200 { // RFC 9110 §15.2: any number of them come before
			continue
		}
		switch {
		case noBody || a.status == 204 || a.status == 304: // RFC 9112 §6.3
			length = 0
		case length < 0:
			return answer{}, errors.New("servetest: answer without Content-Length")
		}
		if a.body, err = c.readBody(length); err != nil {
			return answer{}, err
		}
		c.served++
		return a, nil
	}
}

// asIdle turns the end of a kept connection into errIdleClosed; a time-out or
// the end of a fresh connection is a failure.
func (c *client) asIdle(err error) error {
	var timeout net.Error
	if c.served == 0 || c.to > c.from || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return errIdleClosed
}

// readHead reads one response head. length is -1 without Content-Length.
func (c *client) readHead() (a answer, length int64, err error) {
	if c.from == c.to {
		c.from, c.to = 0, 0
	}
	first := true
	for {
		if end := bytes.Index(c.buf[c.from:c.to], []byte("\r\n\r\n")); end >= 0 {
			head := c.buf[c.from : c.from+end+2]
			c.from += end + 4
			return parseHead(head)
		}
		if err := c.fill(); err != nil {
			if first {
				return a, 0, c.asIdle(err)
			}
			return a, 0, fmt.Errorf("servetest: inside a head: %w", err)
		}
		first = false
	}
}

// fill reads more bytes behind the ones held. The buffer grows up to its bound.
func (c *client) fill() error {
	if c.to == len(c.buf) {
		if c.from > 0 {
			c.to = copy(c.buf, c.buf[c.from:c.to])
			c.from = 0
		} else if len(c.buf) >= bufferBytes {
			return errors.New("servetest: head above 64 KiB")
		} else {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
	}
	n, err := c.conn.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil // an error that came with bytes comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// readBody takes length bytes from the connection and returns the first of them.
func (c *client) readBody(length int64) ([]byte, error) {
	keep := int(min(length, bufferBytes))
	if need := keep - len(c.buf); need > 0 {
		c.buf = append(c.buf, make([]byte, need)...)
	}
	if c.from+keep > len(c.buf) {
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	}
	for c.to-c.from < keep {
		if err := c.fill(); err != nil {
			return nil, fmt.Errorf("servetest: inside a body: %w", err)
		}
	}
	body := c.buf[c.from : c.from+keep]
	c.from += keep
	return body, c.skip(length - int64(keep))
}

// skip reads the rest of a long body away, without touching what buf holds
// before c.from: readBody has returned it.
func (c *client) skip(rest int64) error {
	have := min(rest, int64(c.to-c.from))
	c.from += int(have)
	if rest -= have; rest == 0 {
		return nil
	}
	if _, err := io.CopyN(io.Discard, c.conn, rest); err != nil {
		return fmt.Errorf("servetest: inside a body: %w", err)
	}
	return nil
}

// parseHead reads what the client needs of a head: status line and framing.
func parseHead(head []byte) (a answer, length int64, err error) {
	length = -1
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return a, 0, fmt.Errorf("servetest: not a status line: %q", line[:min(len(line), 40)])
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil || a.status < 100 {
		return a, 0, fmt.Errorf("servetest: not a status: %q", line[9:12])
	}
	a.close = line[7] == '0'
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 63); err != nil || length < 0 {
				return a, 0, fmt.Errorf("servetest: not a length: %q", value)
			}
		case bytes.EqualFold(name, []byte("Connection")):
			a.close = bytes.EqualFold(value, []byte("close"))
		}
	}
	return a, length, nil
}
