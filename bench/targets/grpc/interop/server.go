package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Metadata by which the client asks the interceptor for more than the test service
// does, and by which that answers.
const (
	askDetails = "x-details" // fail, with details
	askPark    = "x-park"    // wait for the end of the call, whose name it gives
	askParked  = "x-parked"  // tell of the parked call of that name
	sayParked  = "x-state"   // of it: none, here or ended
	sayConn    = "x-conn"    // the connection that the call came on
)

// A connection is told to go away after connAge, and stays for as long as a call
// takes. An idle one is pinged, and ended when nobody answers.
const (
	connAge     = 2 * time.Second
	connGrace   = time.Minute
	pingEvery   = time.Second
	pingTimeout = 5 * time.Second
)

// maxMessage is that of the largest case, with room.
const maxMessage = 8 << 20

func serve(args []string) error {
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	cert := fs.String("cert", "", "PEM file of the certificate")
	key := fs.String("key", "", "PEM file of its key")
	if err := fs.Parse(args); err != nil {
		return err
	}
	secure, err := credentials.NewServerTLSFromFile(*cert, *key)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	for _, creds := range []credentials.TransportCredentials{insecure.NewCredentials(), secure} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s := newServer(creds)
		go func() { ended <- s.Serve(l) }()
		fmt.Println(l.Addr())
	}
	return errors.Join(<-ended, <-ended)
}

func newServer(creds credentials.TransportCredentials) *grpc.Server {
	var parked sync.Map // of calls, by name: whether they have ended
	tell := func(ctx context.Context, names []string) metadata.MD {
		md := metadata.Pairs()
		if p, ok := peer.FromContext(ctx); ok {
			md.Set(sayConn, p.Addr.String())
		}
		for _, name := range names {
			switch ended, known := parked.Load(name); {
			case !known:
				md.Set(sayParked, "none")
			case ended.(bool):
				md.Set(sayParked, "ended")
			default:
				md.Set(sayParked, "here")
			}
		}
		return md
	}
	unary := func(ctx context.Context, req any, call *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		switch {
		case len(md.Get(askDetails)) > 0:
			return nil, detailed(md.Get(askDetails)[0]).Err()
		case len(md.Get(askPark)) > 0:
			name := md.Get(askPark)[0]
			parked.Store(name, false)
			<-ctx.Done()
			parked.Store(name, true)
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		if call.FullMethod == grpc_testing.TestService_EmptyCall_FullMethodName { // alone: trailers_only wants no header
			if err := grpc.SetHeader(ctx, tell(ctx, md.Get(askParked))); err != nil {
				return nil, err
			}
		}
		return next(ctx, req)
	}
	stream := func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if err := s.SetHeader(tell(s.Context(), nil)); err != nil {
			return err
		}
		return next(srv, s)
	}
	s := grpc.NewServer(
		grpc.Creds(creds), grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: connAge, MaxConnectionAgeGrace: connGrace, Time: pingEvery, Timeout: pingTimeout,
		}),
	)
	grpc_testing.RegisterTestServiceServer(s, interop.NewTestServer())
	return s
}

// detailed is a status with a message that needs escaping, and with details, which
// travel in a binary field.
func detailed(reason string) *status.Status {
	s, err := status.New(codes.FailedPrecondition, "précondition: 100 % ☺").WithDetails(
		&errdetails.ErrorInfo{Reason: reason, Domain: "interop", Metadata: map[string]string{"k": "v"}},
		&errdetails.RetryInfo{},
	)
	if err != nil {
		panic(err)
	}
	return s
}
