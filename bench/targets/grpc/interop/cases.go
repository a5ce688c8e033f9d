package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// veryLargeUnary is larger than all windows, in both directions, and does not
// compress.
func veryLargeUnary(ctx context.Context, c caller) error {
	const size = 4 << 20
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	reply, err := c.service.UnaryCall(ctx, &grpc_testing.SimpleRequest{
		Payload: &grpc_testing.Payload{Body: body}, ResponseSize: size,
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(reply.GetPayload().GetBody(), make([]byte, size)) {
		return fmt.Errorf("got %d bytes, want %d zeros", len(reply.GetPayload().GetBody()), size)
	}
	return nil
}

func statusDetails(ctx context.Context, c caller) error {
	ctx = metadata.AppendToOutgoingContext(ctx, askDetails, "because")
	_, err := c.service.UnaryCall(ctx, &grpc_testing.SimpleRequest{})
	got, want := status.Convert(err), detailed("because")
	if got.Code() != want.Code() || got.Message() != want.Message() || len(got.Details()) != len(want.Details()) {
		return fmt.Errorf("got %v with %v, want %v", err, got.Details(), want)
	}
	info, ok := got.Details()[0].(*errdetails.ErrorInfo)
	if !ok || info.GetReason() != "because" || info.GetMetadata()["k"] != "v" {
		return fmt.Errorf("got the details %v", got.Details())
	}
	return nil
}

// trailersOnly: an answer without content has its status in the head, and is no
// answer with an empty message.
func trailersOnly(ctx context.Context, c caller) error {
	var header, trailer metadata.MD
	_, err := c.service.UnaryCall(ctx, &grpc_testing.SimpleRequest{
		ResponseStatus: &grpc_testing.EchoStatus{Code: int32(codes.DataLoss), Message: "lost"},
	}, grpc.Header(&header), grpc.Trailer(&trailer))
	if s := status.Convert(err); s.Code() != codes.DataLoss || s.Message() != "lost" {
		return fmt.Errorf("got %v", err)
	}
	if len(header) > 0 {
		return fmt.Errorf("got a head of its own: %v", header)
	}
	return nil
}

// state asks the server for the state of a parked call.
func state(ctx context.Context, c caller, name string) (string, error) {
	var header metadata.MD
	ctx = metadata.AppendToOutgoingContext(ctx, askParked, name)
	if _, err := c.service.EmptyCall(ctx, &grpc_testing.Empty{}, grpc.Header(&header)); err != nil {
		return "", err
	}
	v := header.Get(sayParked)
	if len(v) != 1 {
		return "", fmt.Errorf("%s is %q", sayParked, v)
	}
	return v[0], nil
}

// reach waits until a parked call is in the state.
func reach(ctx context.Context, c caller, name, want string) error {
	for {
		got, err := state(ctx, c, name)
		if err != nil || got == want {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// park makes a call that ends with its context.
func park(ctx context.Context, c caller, name string) error {
	_, err := c.service.EmptyCall(metadata.AppendToOutgoingContext(ctx, askPark, name), &grpc_testing.Empty{})
	return err
}

func cancelReachesServer(ctx context.Context, c caller) error {
	name := strconv.FormatUint(rand.Uint64(), 36)
	call, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- park(call, c, name) }()
	if err := reach(ctx, c, name, "here"); err != nil {
		return err
	}
	cancel()
	if err := <-over; status.Code(err) != codes.Canceled {
		return fmt.Errorf("got %v", err)
	}
	return reach(ctx, c, name, "ended")
}

// deadlineReachesServer: a call that had not come there in time says nothing.
func deadlineReachesServer(ctx context.Context, c caller) error {
	for deadline := 100 * time.Millisecond; ; deadline *= 2 {
		name := strconv.FormatUint(rand.Uint64(), 36)
		call, cancel := context.WithTimeout(ctx, deadline)
		err := park(call, c, name)
		cancel()
		if status.Code(err) != codes.DeadlineExceeded {
			return fmt.Errorf("got %v", err)
		}
		if got, err := state(ctx, c, name); err != nil || got != "none" {
			return errors.Join(err, reach(ctx, c, name, "ended"))
		}
	}
}

// goAwayOfServer calls while the server tells one connection after another to go
// away: no call may fail.
func goAwayOfServer(ctx context.Context, c caller) error {
	const (
		callers = 4
		conns   = 3
	)
	seen := make(chan string)
	failed := make(chan error, callers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range callers {
		go func() {
			for ctx.Err() == nil {
				conn, err := pingPong(ctx, c, 3, 0)
				if err != nil && ctx.Err() == nil {
					failed <- err
					return
				}
				select {
				case seen <- conn:
				case <-ctx.Done():
				}
			}
		}()
	}
	distinct := map[string]bool{}
	for len(distinct) < conns {
		select {
		case conn := <-seen:
			distinct[conn] = true
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("only %d connections in time", len(distinct))
		}
	}
	return nil
}

// keepalivePings: a stream that says nothing lives on, for both sides' pings are
// answered.
func keepalivePings(ctx context.Context, c caller) error {
	_, err := pingPong(ctx, c, 2, idleStream)
	return err
}

// pingPong exchanges messages with pauses between, and tells which connection the
// server has had it on.
func pingPong(ctx context.Context, c caller, messages int, pause time.Duration) (conn string, err error) {
	stream, err := c.service.FullDuplexCall(ctx)
	if err != nil {
		return "", err
	}
	const size = 1000
	for i := range messages {
		if i > 0 {
			time.Sleep(pause)
		}
		err := stream.Send(&grpc_testing.StreamingOutputCallRequest{
			ResponseParameters: []*grpc_testing.ResponseParameters{{Size: size}},
			Payload:            &grpc_testing.Payload{Body: make([]byte, size)},
		})
		if err != nil && !errors.Is(err, io.EOF) { // of which Recv knows more
			return "", err
		}
		reply, err := stream.Recv()
		if err != nil {
			return "", err
		}
		if n := len(reply.GetPayload().GetBody()); n != size {
			return "", fmt.Errorf("got %d bytes, want %d", n, size)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return "", err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return "", fmt.Errorf("got %v, want the end", err)
	}
	header, err := stream.Header()
	if err != nil || len(header.Get(sayConn)) != 1 {
		return "", fmt.Errorf("%s is %q (%w)", sayConn, header.Get(sayConn), err)
	}
	return header.Get(sayConn)[0], nil
}
