package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// What a request can fail with beside store.ErrTooLarge and its context, to be
// matched with errors.Is. An error that is none of these matches none. The SDK's own
// error is beneath, for errors.As.
var (
	// ErrPermission says that the service refuses the credentials, or refuses them
	// this request.
	ErrPermission = errors.New("permission denied")

	// ErrNoBucket says that the bucket does not exist.
	ErrNoBucket = errors.New("no such bucket")

	// ErrThrottled says that the service wants fewer requests, and still did at the
	// last attempt. It is that of every Bucket.
	ErrThrottled = objectstore.ErrThrottled

	// ErrTimeout says that there was no answer in time: within AttemptTimeout at the
	// last attempt, within Timeout, before the deadline of the context, or by the
	// service's own measure.
	ErrTimeout = errors.New("timed out")
)

// wrap names the bucket and the key of a request that failed, and says which kind of
// failure it is.
func (b *Bucket) wrap(ctx context.Context, request, key string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err) // a connection that was cut because of it
	}
	if kind := kindOf(err); kind != nil {
		err = fmt.Errorf("%w: %w", kind, err)
	}
	return fmt.Errorf("s3: bucket %q: %s %q: %w", b.name, request, key, err)
}

// kindOf returns which of the errors above err is, or nil.
func kindOf(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if kind := kindOfCode(api.ErrorCode()); kind != nil {
			return kind
		}
	}
	switch statusOf(err) {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrPermission
	case http.StatusTooManyRequests:
		return ErrThrottled
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return ErrTimeout
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return ErrTimeout
	}
	return nil
}

// kindOfCode is kindOf for the code in the service's answer.
func kindOfCode(code string) error {
	switch code {
	case "NoSuchBucket":
		return ErrNoBucket
	case "AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
		return ErrPermission
	case "RequestTimeout":
		return ErrTimeout
	case "EntityTooLarge":
		return store.ErrTooLarge
	// The last three are of services other than AWS.
	case "ServiceUnavailable", "TooManyRequests", "ServerBusy", "SlowDownRead", "SlowDownWrite":
		return ErrThrottled
	}
	if _, throttles := retry.DefaultThrottleErrorCodes[code]; throttles {
		return ErrThrottled
	}
	return nil
}

// statusOf returns the status of the HTTP answer in err, or 0.
func statusOf(err error) int {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return answer.HTTPStatusCode()
	}
	return 0
}
