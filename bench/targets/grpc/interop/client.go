package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
)

// idleStream is how long the stream of keepalive_pings says nothing: longer than the
// client's pings are apart, which gRPC does not send more often than each 10 s.
const (
	clientPings = 10 * time.Second
	idleStream  = 13 * time.Second
)

// caller is a client of the test service.
type caller struct {
	conn    *grpc.ClientConn
	service grpc_testing.TestServiceClient
}

// cases are in the order of gRPC's list; then ours.
var cases = []struct {
	name string
	run  func(ctx context.Context, c caller) error
}{
	{"empty_unary", theirs(interop.DoEmptyUnaryCall)},
	{"large_unary", theirs(interop.DoLargeUnaryCall)},
	{"client_compressed_unary", theirs(interop.DoLargeUnaryCall, grpc.UseCompressor(gzip.Name))},
	{"client_streaming", theirs(interop.DoClientStreaming)},
	{"client_compressed_streaming", theirs(interop.DoClientStreaming, grpc.UseCompressor(gzip.Name))},
	{"server_streaming", theirs(interop.DoServerStreaming)},
	{"ping_pong", theirs(interop.DoPingPong)},
	{"compressed_ping_pong", theirs(interop.DoPingPong, grpc.UseCompressor(gzip.Name))},
	{"empty_stream", theirs(interop.DoEmptyStream)},
	{"custom_metadata", theirs(interop.DoCustomMetadata)},
	{"status_code_and_message", theirs(interop.DoStatusCodeAndMessage)},
	{"special_status_message", theirs(interop.DoSpecialStatusMessage)},
	{"unimplemented_method", func(ctx context.Context, c caller) error {
		interop.DoUnimplementedMethod(ctx, c.conn)
		return nil
	}},
	{"unimplemented_service", func(ctx context.Context, c caller) error {
		interop.DoUnimplementedService(ctx, grpc_testing.NewUnimplementedServiceClient(c.conn))
		return nil
	}},
	{"cancel_after_begin", theirs(interop.DoCancelAfterBegin)},
	{"cancel_after_first_response", theirs(interop.DoCancelAfterFirstResponse)},
	{"timeout_on_sleeping_server", theirs(interop.DoTimeoutOnSleepingServer)},
	{"very_large_unary", veryLargeUnary},
	{"status_details", statusDetails},
	{"trailers_only", trailersOnly},
	{"cancel_reaches_server", cancelReachesServer},
	{"deadline_reaches_server", deadlineReachesServer},
	{"goaway_of_server", goAwayOfServer},
	{"keepalive_pings", keepalivePings},
}

// theirs runs a case of gRPC's, which ends the process when it fails.
func theirs(f func(context.Context, grpc_testing.TestServiceClient, ...grpc.CallOption), args ...grpc.CallOption) func(context.Context, caller) error {
	return func(ctx context.Context, c caller) error {
		f(ctx, c.service, args...)
		return nil
	}
}

func ask(args []string) error {
	fs := flag.NewFlagSet("client", flag.ContinueOnError)
	addr := fs.String("addr", "", "HOST:PORT of the server, or of a proxy before it")
	secure := fs.Bool("tls", false, "over TLS; the certificate is not verified")
	authority := fs.String("authority", "interop.test", "name that is asked for")
	timeout := fs.Duration("timeout", 2*time.Minute, "of each case")
	if err := fs.Parse(args); err != nil {
		return err
	}
	creds := insecure.NewCredentials()
	if *secure {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	conn, err := grpc.NewClient("passthrough:///"+*addr, grpc.WithTransportCredentials(creds), grpc.WithAuthority(*authority), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: clientPings, Timeout: pingTimeout}))
	if err != nil {
		return err
	}
	defer conn.Close()
	c := caller{conn, grpc_testing.NewTestServiceClient(conn)}
	for _, one := range cases {
		fmt.Println("running", one.name)
		ctx, cancel := context.WithTimeout(context.Background(), *timeout)
		err := one.run(ctx, c)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		fmt.Println("passed", one.name)
	}
	return nil
}
