// Package s3 is the objectstore.Bucket in Amazon S3 and in what speaks its API.
//
// Credentials come from where the AWS tools find them: the environment
// (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...), the shared configuration files,
// or the role of the machine. They are never part of a URL or of Options.
//
// Every request but those that fail is one HTTP request; failed ones are repeated as
// the SDK does by default: up to 3 attempts where that can help. Uploads carry a
// CRC-32 that the service checks. Nothing but its context limits the time of a call.
//
// The service must list in byte order of keys and show at once what was written, as
// S3 does. Directory buckets of S3 Express list in no order and are refused. The
// bucket must exist.
package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	client *awss3.Client
	http   *http.Client // beneath client
}

var _ objectstore.Bucket = (*Bucket)(nil)

// maxKeys is how many keys S3 lists at once.
const maxKeys = 1000

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
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(opts.Region))
	if err != nil {
		return nil, fmt.Errorf("bucket %q: %w", name, err)
	}
	if cfg.Region == "" && opts.Endpoint != "" {
		cfg.Region = "us-east-1" // signatures need one, and services of one region take this
	}
	if cfg.Region == "" {
		return nil, fmt.Errorf("%w Region: none given; it is needed for bucket %q, from Options, AWS_REGION or the shared configuration", store.ErrInvalid, name)
	}
	// A client of our own, because that of the SDK can't close its connections. The
	// configuration may have put certificates into its transport.
	buildable, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		buildable = awshttp.NewBuildableClient()
	}
	client := &http.Client{
		Transport: buildable.GetTransport(),
		// A request is signed for one host. That the bucket is elsewhere is an error.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Bucket{
		name: name,
		http: client,
		client: awss3.NewFromConfig(cfg, func(o *awss3.Options) {
			if opts.Endpoint != "" {
				o.BaseEndpoint = aws.String(opts.Endpoint)
			}
			o.UsePathStyle = opts.PathStyle
			o.HTTPClient = client
			o.DisableLogOutputChecksumValidationSkipped = true // objects that others put may have no checksum
		}),
	}, nil
}

// Put implements objectstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(body))
	_, err := b.client.PutObject(ctx, &awss3.PutObjectInput{
		Bucket:        aws.String(b.name),
		Key:           aws.String(key),
		Body:          bytes.NewReader(body),
		ContentLength: aws.Int64(int64(len(body))),
		ChecksumCRC32: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	return b.wrap(ctx, "put", key, err)
}

// Get implements objectstore.Bucket.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
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

// Delete implements objectstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, keys []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	objects := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		objects[i].Key = aws.String(key)
	}
	out, err := b.client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{
		Bucket:            aws.String(b.name),
		Delete:            &types.Delete{Objects: objects, Quiet: aws.Bool(true)}, // tell of failures only
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return b.wrap(ctx, "delete", keys[0], err)
	}
	failed := 0
	for _, failure := range out.Errors {
		if aws.ToString(failure.Code) == "NoSuchKey" {
			continue
		}
		if failed++; failed == 1 {
			err = fmt.Errorf("%s: %s", aws.ToString(failure.Code), aws.ToString(failure.Message))
			err = b.wrap(ctx, "delete", aws.ToString(failure.Key), err)
		}
	}
	if failed > 1 {
		err = fmt.Errorf("%w (and %d more of %d)", err, failed-1, len(keys))
	}
	return err
}

// Close implements objectstore.Bucket.
func (b *Bucket) Close() error {
	b.http.CloseIdleConnections()
	return nil
}

// wrap names the bucket and the key of a request that failed.
func (b *Bucket) wrap(ctx context.Context, request, key string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err) // a connection that was cut because of it
	}
	return fmt.Errorf("s3: bucket %q: %s %q: %w", b.name, request, key, err)
}

// tag returns an ETag without the quotes that some services leave out of lists.
func tag(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
