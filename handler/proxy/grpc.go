package proxy

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// isGRPC tells whether a content type is gRPC's: application/grpc, with a suffix
// for the format or none. gRPC-Web is another protocol.
func isGRPC(contentType string) bool {
	const grpc = "application/grpc"
	if len(contentType) < len(grpc) || !strings.EqualFold(contentType[:len(grpc)], grpc) {
		return false
	}
	rest := contentType[len(grpc):]
	return rest == "" || rest[0] == '+' || rest[0] == ';' || rest[0] == ' '
}

// grpcTimeout reads the field of that name: up to eight digits and a unit. False:
// there is none, or it is not understood, and then it does not count.
func grpcTimeout(values []string) (time.Duration, bool) {
	v := first(values)
	if n := len(v); n < 2 || n > 9 {
		return 0, false
	}
	unit, ok := grpcUnits[v[len(v)-1]]
	n, err := strconv.ParseUint(v[:len(v)-1], 10, 32)
	if !ok || err != nil {
		return 0, false
	}
	if int64(n) > math.MaxInt64/int64(unit) {
		return 0, false // longer than a Duration: as good as none
	}
	return max(1, time.Duration(n)*unit), true
}

var grpcUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// The codes of gRPC that our own errors have.
const (
	grpcInvalidArgument   = "3"
	grpcDeadlineExceeded  = "4"
	grpcResourceExhausted = "8"
	grpcUnavailable       = "14"
)

// refuseGRPC answers in the way of gRPC: status 200, and the outcome as fields of
// an answer that is trailers only.
func refuseGRPC(w http.ResponseWriter, status int, reason string) {
	code := grpcUnavailable
	switch status {
	case http.StatusGatewayTimeout:
		code = grpcDeadlineExceeded
	case http.StatusBadRequest:
		code = grpcInvalidArgument
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		code = grpcResourceExhausted
	case http.StatusServiceUnavailable:
		if strings.Contains(reason, "queue") {
			code = grpcResourceExhausted
		}
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/grpc"}
	h["Grpc-Status"] = []string{code}
	h["Grpc-Message"] = []string{reason}
	w.WriteHeader(http.StatusOK)
}
