package h3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/h3"
)

// The processes that TestCompare measures.

func playRole(role string) {
	args := strings.Fields(role)
	number := func(i int) int { n, _ := strconv.Atoi(args[i]); return n }
	if args[0] == "client" {
		if err := load(args[1], number(2), number(3), number(4)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := serveRole(args[0], number(1)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func serveRole(role string, size int) error {
	pair, err := certs.SelfSigned([]string{"localhost"})
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	tlsConf := &tls.Config{Certificates: []tls.Certificate{pair}}
	body := bytes.Repeat([]byte("x"), size)
	contentType, length := []string{"text/plain"}, []string{strconv.Itoa(size)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"], w.Header()["Content-Length"] = contentType, length
		w.Write(body)
	})
	fmt.Println(socket.LocalAddr())
	switch role {
	case "quic":
		return serveQUIC(socket, tlsConf, size)
	case "stock":
		return (&http3.Server{TLSConfig: tlsConf, Handler: handler}).Serve(socket)
	}
	s, err := h3.Listen([]net.PacketConn{socket}, tlsConf, h3.Complete(h3.Config{Handler: handler, Recycle: true}))
	if err != nil {
		return err
	}
	<-s.Drained()
	return nil
}

// serveQUIC answers each stream with bytes that look like an answer of size bytes.
func serveQUIC(socket net.PacketConn, tlsConf *tls.Config, size int) error {
	tlsConf.NextProtos = []string{h3.ALPN}
	ln, err := (&quic.Transport{Conn: socket}).Listen(tlsConf, &quic.Config{RequireStreamCreditRelease: true, MaxIncomingStreams: 132})
	if err != nil {
		return err
	}
	const head = 44 // as long as the engine's, about
	answer := make([]byte, head+size)
	for {
		q, err := ln.Accept(context.Background())
		if err != nil {
			return err
		}
		go func() {
			buf := make([]byte, 4096)
			var held []*quic.Stream
			for {
				str, err := q.AcceptStream(context.Background())
				if err != nil {
					return
				}
				for err == nil {
					_, err = str.Read(buf)
				}
				if held = append(held, str); len(held) == 32 {
					for _, s := range held[:16] {
						s.ReleaseStreamCredit()
					}
					held = held[:copy(held, held[16:])]
				}
				if str.TryWriteAll(answer) == nil {
					str.Close()
				} else {
					go func() { str.Write(answer); str.Close() }()
				}
			}
		}()
	}
}

// load asks requests times over conns connections with streams at a time on each.
func load(addr string, conns, streams, requests int) error {
	var left, failed atomic.Int64
	left.Store(int64(requests))
	var group sync.WaitGroup
	for range conns {
		q, err := quic.DialAddr(context.Background(), addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, &quic.Config{})
		if err != nil {
			return err
		}
		defer q.CloseWithError(0x100, "")
		control, err := q.OpenUniStream()
		if err != nil {
			return err
		}
		control.Write([]byte{0, 4, 0}) // an empty SETTINGS
		go discardUni(q)
		for range streams {
			group.Go(func() {
				buf := make([]byte, 32<<10)
				for left.Add(-1) >= 0 {
					if ask(q, buf) != nil {
						failed.Add(1)
					}
				}
			})
		}
	}
	group.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d requests failed", n)
	}
	return nil
}

func discardUni(q *quic.Conn) {
	for {
		str, err := q.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		go io.Copy(io.Discard, str)
	}
}

// request is a HEADERS frame that asks for /.
var request = sync.OnceValues(func() ([]byte, error) {
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for _, f := range []qpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: "/"},
		{Name: "user-agent", Value: "compare"},
	} {
		if err := e.WriteField(f); err != nil {
			return nil, err
		}
	}
	return append([]byte{1, byte(block.Len())}, block.Bytes()...), nil
})

// ask makes one request and reads its answer to the end.
func ask(q *quic.Conn, buf []byte) error {
	head, err := request()
	if err != nil {
		return err
	}
	str, err := q.OpenStreamSync(context.Background())
	if err != nil {
		return err
	}
	if err := str.TryWriteAll(head); err != nil {
		return err
	}
	str.Close()
	for {
		if _, err := str.Read(buf); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
