// Package s3 is the objectstore.Bucket in Amazon S3 and in what speaks its API.
//
// Credentials are given as Options.Credentials, or come from where the AWS tools find
// them: the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...), the shared
// configuration files, or the role of the machine. They are never part of a URL.
//
// Every operation is one HTTP request. One that fails in a way which may pass is
// repeated, with growing pauses; Options limits the time of an attempt, of a call, and
// the number of attempts. A service that answers a batch delete with NotImplemented,
// as Google's does, is sent single deletes from then on, 16 at a time.
//
// An error names the bucket and the key, and matches [ErrPermission], [ErrNoBucket],
// [ErrThrottled] or [ErrTimeout] where it is one of those.
//
// Uploads carry a checksum that the service compares. An object is one upload of at
// most 5 GiB (more is store.ErrTooLarge), which is sent from the memory it is in: a
// Save holds the state and the object made of it, and no more.
//
// The service must list in byte order of keys and show at once what was written, as
// S3 does. Directory buckets of S3 Express list in no order and are refused. The
// bucket must exist.
package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// Bucket is an objectstore.Bucket in S3.
type Bucket struct {
	name   string
	opts   Options // with defaults
	client *awss3.Client
	http   *http.Client // beneath client

	noBatches atomic.Bool // whether the service has refused a batch delete
}

var _ objectstore.Creator = (*Bucket)(nil)

const (
	// maxKeys is how many keys S3 lists at once.
	maxKeys = 1000

	// maxObject is how many bytes S3 takes in one upload.
	maxObject = 5 << 30
)

// Open returns the Bucket of the name. It makes no request to S3: that the bucket
// is not there, or not for these credentials, shows at the first use.
func Open(ctx context.Context, name string, opts Options) (*Bucket, error) {
	b, err := open(ctx, name, opts)
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("s3: %w", err))
	}
	return b, nil
}

func open(ctx context.Context, name string, opts Options) (*Bucket, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	cfg, err := loadConfig(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("bucket %q: %w", name, err)
	}
	switch {
	case opts.Checksum == "" && cfg.RequestChecksumCalculation == aws.RequestChecksumCalculationWhenRequired:
		opts.Checksum = WhenRequired
	case opts.Checksum == "":
		opts.Checksum = CRC32
	}
	client := newHTTPClient(cfg, opts)
	return &Bucket{
		name: name,
		opts: opts,
		http: client,
		client: awss3.NewFromConfig(cfg, func(o *awss3.Options) {
			if opts.Endpoint != "" {
				o.BaseEndpoint = aws.String(opts.Endpoint)
			}
			o.UsePathStyle = opts.PathStyle
			o.HTTPClient = client
			// What S3 answers to a conditional upload that a concurrent one upsets, and
			// versitygw to an upload while the last object goes that is in its folder.
			o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict", "ExistingObjectIsDirectory")
			o.RetryMaxAttempts = cmp.Or(opts.Attempts, o.RetryMaxAttempts)
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired // Put gives its own
			if opts.Checksum == WhenRequired || opts.Checksum == MD5 {
				o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired // don't ask for what may be unknown
			}
			o.DisableLogOutputChecksumValidationSkipped = true // objects that others put may have no checksum
		}),
	}, nil
}

// loadConfig returns the configuration of the environment and the shared files, below
// that of the options.
func loadConfig(ctx context.Context, opts Options) (aws.Config, error) {
	load := []func(*config.LoadOptions) error{config.WithRegion(opts.Region)}
	if opts.Credentials != nil {
		load = append(load, config.WithCredentialsProvider(opts.Credentials))
	}
	if opts.CAFile != "" {
		pem, err := readCAFile(opts.CAFile)
		if err != nil {
			return aws.Config{}, err
		}
		load = append(load, config.WithCustomCABundle(bytes.NewReader(pem)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return aws.Config{}, err
	}
	if cfg.Region == "" && opts.Endpoint != "" {
		cfg.Region = "us-east-1" // signatures need one, and services of one region take this
	}
	if cfg.Region == "" {
		return aws.Config{}, fmt.Errorf("%w Region: none given; it is needed, from Options, AWS_REGION or the shared configuration", store.ErrInvalid)
	}
	return cfg, nil
}

// newHTTPClient returns a client of our own, because that of the SDK can't close its
// connections. The configuration may have put certificates into its transport.
func newHTTPClient(cfg aws.Config, opts Options) *http.Client {
	buildable, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		buildable = awshttp.NewBuildableClient()
	}
	transport := buildable.GetTransport()
	// All requests go to one host. With the SDK's 10 idle connections a busier store
	// would make a new one for most requests.
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	return &http.Client{
		Transport: transport,
		Timeout:   max(0, cmp.Or(opts.AttemptTimeout, defaultAttemptTimeout)),
		// A request is signed for one host. That the bucket is elsewhere is an error.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Put implements objectstore.Bucket. A body over 5 GiB is store.ErrTooLarge. It takes
// no memory beside body, however large that is.
func (b *Bucket) Put(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkSize(int64(len(body))); err != nil {
		return b.wrap(ctx, "put", key, err)
	}
	ctx, cancel := b.limit(ctx)
	defer cancel()
	_, err := b.client.PutObject(ctx, b.putInput(key, body))
	return b.wrap(ctx, "put", key, err)
}

func checkSize(bytes int64) error {
	if bytes > maxObject {
		return fmt.Errorf("%w: an object of %d bytes; S3 takes at most %d", store.ErrTooLarge, bytes, int64(maxObject))
	}
	return nil
}

func (b *Bucket) putInput(key string, body []byte) *awss3.PutObjectInput {
	input := &awss3.PutObjectInput{
		Bucket:        aws.String(b.name),
		Key:           aws.String(key),
		Body:          bytes.NewReader(body),
		ContentLength: aws.Int64(int64(len(body))),
	}
	b.opts.Checksum.ofPut(input, body)
	switch b.opts.Encryption {
	case SSES3:
		input.ServerSideEncryption = types.ServerSideEncryptionAes256
	case SSEKMS:
		input.ServerSideEncryption = types.ServerSideEncryptionAwsKms
		if b.opts.KMSKey != "" {
			input.SSEKMSKeyId = aws.String(b.opts.KMSKey)
		}
	}
	return input
}

// Get implements objectstore.Bucket.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	ctx, cancel := b.limit(ctx)
	defer cancel()
	out, err := b.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(b.name), Key: aws.String(key)})
	// Only this code says that there is no such object: a 404 may also mean that there
	// is no such bucket, or come from a proxy.
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchKey" {
		return nil, "", objectstore.ErrNoObject
	}
	if err != nil {
		return nil, "", b.wrap(ctx, "get", key, err)
	}
	body, err := readAll(out.Body, out.ContentLength)
	if err != nil {
		return nil, "", b.wrap(ctx, "get", key, err)
	}
	return body, tag(out.ETag), nil
}

// readAll reads body, which it closes, of the length that was announced, if any.
func readAll(body io.ReadCloser, length *int64) ([]byte, error) {
	defer body.Close() // what it returned was all, or an error that matters more
	if length == nil {
		return io.ReadAll(body)
	}
	b := make([]byte, *length)
	if _, err := io.ReadFull(body, b); err != nil {
		return nil, err
	}
	// The end is where the SDK compares checksums.
	if n, err := io.ReadFull(body, make([]byte, 1)); n != 0 || err != io.EOF {
		if n != 0 {
			err = errors.New("more than the announced length")
		}
		return nil, err
	}
	return b, nil
}

// List implements objectstore.Bucket.
func (b *Bucket) List(ctx context.Context, prefix, after string, limit int) (objects []objectstore.Object, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	ctx, cancel := b.limit(ctx)
	defer cancel()
	input := &awss3.ListObjectsV2Input{
		Bucket:  aws.String(b.name),
		MaxKeys: aws.Int32(int32(min(limit, maxKeys))),
		// Keys that others put may have characters that XML does not.
		EncodingType: types.EncodingTypeUrl,
	}
	if prefix != "" {
		input.Prefix = aws.String(prefix)
	}
	if after != "" {
		input.StartAfter = aws.String(after)
	}
	for {
		out, err := b.client.ListObjectsV2(ctx, input)
		if err != nil {
			return nil, false, b.wrap(ctx, "list", prefix, err)
		}
		for _, object := range out.Contents {
			key := aws.ToString(object.Key)
			if out.EncodingType == types.EncodingTypeUrl {
				if key, err = url.QueryUnescape(key); err != nil {
					return nil, false, b.wrap(ctx, "list", prefix, fmt.Errorf("key %q: %w", aws.ToString(object.Key), err))
				}
			}
			objects = append(objects, objectstore.Object{Key: key, Size: aws.ToInt64(object.Size), ETag: tag(object.ETag)})
		}
		more := aws.ToBool(out.IsTruncated)
		if len(objects) > 0 || !more {
			return objects, more, nil
		}
		// S3 may have looked through its index for a while and found nothing yet.
		if aws.ToString(out.NextContinuationToken) == "" {
			return nil, false, b.wrap(ctx, "list", prefix, errors.New("an empty list that goes on, without saying where"))
		}
		input.ContinuationToken = out.NextContinuationToken
	}
}

// Close implements objectstore.Bucket.
func (b *Bucket) Close() error {
	b.http.CloseIdleConnections()
	return nil
}

// limit returns ctx with the time limit of a call.
func (b *Bucket) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.opts.Timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, b.opts.Timeout)
}

// tag returns an ETag without the quotes that some services leave out of lists.
func tag(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
