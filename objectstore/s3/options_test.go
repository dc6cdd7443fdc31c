package s3_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/buckettest"
	"github.com/snapstack/snapstack/objectstore/s3"
	"github.com/snapstack/snapstack/store"
)

func TestGivenCredentialsAreUsed(t *testing.T) {
	f := newFake(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "anotherkey") // which the fake does not accept
	other := f.open(t)
	defer closeBucket(t, other)
	if err := other.Put(t.Context(), "a/1", nil); !errors.Is(err, s3.ErrPermission) {
		t.Fatalf("Put with the key of the environment: %v; want ErrPermission", err)
	}
	b := f.openWith(t, s3.Options{Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "testkey", SecretAccessKey: "testsecret"}, nil
	})})
	defer closeBucket(t, b)
	if err := b.Put(t.Context(), "a/1", nil); err != nil {
		t.Errorf("Put with given credentials: %v", err)
	}
}

func TestTLSWithACertificateAuthorityOfOnesOwn(t *testing.T) {
	f := newFake(t)
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	f.url = server.URL
	strangers := f.openWith(t, s3.Options{Attempts: 1})
	defer closeBucket(t, strangers)
	if err := strangers.Put(t.Context(), "a/1", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Put to a server whose certificate nobody vouches for: %v; want an error that says so", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o666); err != nil {
		t.Fatal(err)
	}
	b := f.openWith(t, s3.Options{CAFile: file})
	defer closeBucket(t, b)
	if err := b.Put(t.Context(), "a/1", []byte("body")); err != nil {
		t.Errorf("Put with CAFile: %v", err)
	}
}

// headersOf returns the headers of the requests that do makes, by method.
func headersOf(f *fake, do func()) map[string]http.Header {
	headers := make(map[string]http.Header)
	var mu sync.Mutex
	f.first = func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		headers[r.Method] = r.Header
		return false
	}
	defer func() { f.first = nil }()
	do()
	return headers
}

func TestEncryption(t *testing.T) {
	f := newFake(t)
	for opts, want := range map[s3.Options][2]string{
		{}:                      {"", ""},
		{Encryption: s3.SSES3}:  {"AES256", ""},
		{Encryption: s3.SSEKMS}: {"aws:kms", ""},
		{Encryption: s3.SSEKMS, KMSKey: "alias/orders"}: {"aws:kms", "alias/orders"},
	} {
		b := f.openWith(t, opts)
		headers := headersOf(f, func() {
			if err := b.Put(t.Context(), "a/1", nil); err != nil {
				t.Error(err)
			}
		})["PUT"]
		got := [2]string{headers.Get("X-Amz-Server-Side-Encryption"), headers.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")}
		if got != want {
			t.Errorf("Put with %+v asks for %q; want %q", opts, got, want)
		}
		closeBucket(t, b)
	}
}

func TestChecksums(t *testing.T) {
	checksums := []string{"X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Sha256", "Content-Md5", "X-Amz-Trailer", "X-Amz-Sdk-Checksum-Algorithm"}
	for _, c := range []struct {
		env         string // AWS_REQUEST_CHECKSUM_CALCULATION
		checksum    s3.Checksum
		put, delete string // the headers with checksums
		validates   bool   // whether Get asks for one
	}{
		{"", "", "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32", true},
		{"", s3.CRC32, "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32", true},
		{"when_required", s3.CRC32, "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32", true},
		{"", s3.CRC32C, "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Crc32c", true},
		{"", s3.SHA256, "X-Amz-Checksum-Sha256", "X-Amz-Checksum-Sha256", true},
		{"", s3.MD5, "Content-Md5", "Content-Md5", false},
		{"", s3.WhenRequired, "", "X-Amz-Checksum-Crc32", false},
		{"when_required", "", "", "X-Amz-Checksum-Crc32", false},
	} {
		f := newFake(t)
		f.unchecked = true
		t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", c.env)
		b := f.openWith(t, s3.Options{Checksum: c.checksum})
		headers := headersOf(f, func() {
			_, _, get := b.Get(t.Context(), "a/1")
			err := errors.Join(b.Put(t.Context(), "a/1", []byte("body")), b.Delete(t.Context(), []string{"a/1"}))
			if err != nil || !errors.Is(get, objectstore.ErrNoObject) {
				t.Errorf("Checksum %q: %v, %v", c.checksum, err, get)
			}
		})
		for method, want := range map[string]string{"PUT": c.put, "POST": c.delete} {
			var got []string
			for _, name := range checksums[:5] {
				if headers[method].Get(name) != "" {
					got = append(got, name)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("Checksum %q (environment: %q): %s with %q; want %q", c.checksum, c.env, method, got, want)
			}
		}
		if c.checksum == s3.MD5 && headers["POST"].Get("X-Amz-Sdk-Checksum-Algorithm") != "" {
			t.Error("a batch delete with Content-MD5 names another algorithm")
		}
		if got := headers["GET"].Get("X-Amz-Checksum-Mode") != ""; got != c.validates {
			t.Errorf("Checksum %q: Get asks for a checksum: %v; want %v", c.checksum, got, c.validates)
		}
		closeBucket(t, b)
	}
}

// calls are all operations of a bucket.
func calls(b *s3.Bucket) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"put": func(ctx context.Context) error { return b.Put(ctx, "a/1", []byte("body")) },
		"get": func(ctx context.Context) error {
			_, _, err := b.Get(ctx, "a/1")
			return err
		},
		"list": func(ctx context.Context) error {
			_, _, err := b.List(ctx, "a/", "", 1)
			return err
		},
		"delete": func(ctx context.Context) error { return b.Delete(ctx, []string{"a/1"}) },
	}
}

// stall keeps a request without an answer until the client hangs up.
func stall(r *http.Request) {
	io.Copy(io.Discard, r.Body) // the server notices a hang-up only behind the body
	<-r.Context().Done()
}

func TestAttemptTimeoutTriesAgain(t *testing.T) {
	for _, name := range []string{"put", "get", "list", "delete"} {
		f := newFake(t) // one for each: nothing tells when it is done with a request that was given up
		if err := f.objects.Put(t.Context(), "a/1", []byte("body")); err != nil {
			t.Fatal(err)
		}
		var stalled atomic.Bool
		f.first = func(w http.ResponseWriter, r *http.Request) bool {
			if stalled.Swap(true) {
				return false
			}
			stall(r)
			return true
		}
		b := f.openWith(t, s3.Options{AttemptTimeout: 200 * time.Millisecond, Attempts: 2})
		if err := calls(b)[name](t.Context()); err != nil || f.requests.Load() != 2 {
			t.Errorf("%s whose first attempt stalls: %v after %d requests; want nil after 2", name, err, f.requests.Load())
		}
		closeBucket(t, b)
	}
}

func TestTimeouts(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) bool {
		stall(r)
		return true
	}
	inTheBody := func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "the first few")
		w.(http.Flusher).Flush()
		stall(r)
		return true
	}
	for option, opts := range map[string]s3.Options{
		"AttemptTimeout": {AttemptTimeout: 50 * time.Millisecond, Attempts: 1},
		"Timeout":        {Timeout: 50 * time.Millisecond, AttemptTimeout: -1},
	} {
		check := func(name string, first func(http.ResponseWriter, *http.Request) bool) {
			t.Helper()
			f := newFake(t)
			f.first = first
			b := f.openWith(t, opts)
			defer closeBucket(t, b)
			err := calls(b)[name](t.Context())
			if !errors.Is(err, s3.ErrTimeout) || !strings.Contains(err.Error(), bucketName) || !strings.Contains(err.Error(), "a/") {
				t.Errorf("%s beyond its %s: %v; want ErrTimeout that names bucket and key", name, option, err)
			}
		}
		for _, name := range []string{"put", "get", "list", "delete"} {
			check(name, silent)
		}
		check("get", inTheBody)
	}
}

func TestAttempts(t *testing.T) {
	f := newFake(t)
	f.first = func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return true
	}
	for attempts, want := range map[int]int64{1: 1, 2: 2, 0: 3} {
		b := f.openWith(t, s3.Options{Attempts: attempts})
		f.requests.Store(0)
		if err := b.Put(t.Context(), "a/1", nil); !errors.Is(err, objectstore.ErrThrottled) || f.requests.Load() != want {
			t.Errorf("Put with Attempts %d: %d requests, %v; want %d and ErrThrottled", attempts, f.requests.Load(), err, want)
		}
		closeBucket(t, b)
	}
}

func TestErrorsTellKindsApart(t *testing.T) {
	f := newFake(t)
	b := f.openWith(t, s3.Options{Attempts: 1})
	defer closeBucket(t, b)
	kinds := []error{s3.ErrPermission, s3.ErrNoBucket, s3.ErrThrottled, s3.ErrTimeout, store.ErrTooLarge}
	for _, c := range []struct {
		status int
		code   string // "" for an answer without a body, as of a proxy
		want   error  // nil for none of them
	}{
		{http.StatusForbidden, "AccessDenied", s3.ErrPermission},
		{http.StatusForbidden, "InvalidAccessKeyId", s3.ErrPermission},
		{http.StatusForbidden, "SignatureDoesNotMatch", s3.ErrPermission},
		{http.StatusBadRequest, "ExpiredToken", s3.ErrPermission},
		{http.StatusUnauthorized, "", s3.ErrPermission},
		{http.StatusForbidden, "", s3.ErrPermission},
		{http.StatusNotFound, "NoSuchBucket", s3.ErrNoBucket},
		{http.StatusNotFound, "", nil},
		{http.StatusServiceUnavailable, "SlowDown", s3.ErrThrottled},
		{http.StatusServiceUnavailable, "ServiceUnavailable", s3.ErrThrottled},
		{http.StatusTooManyRequests, "", s3.ErrThrottled},
		{http.StatusBadRequest, "RequestTimeout", s3.ErrTimeout},
		{http.StatusGatewayTimeout, "", s3.ErrTimeout},
		{http.StatusBadRequest, "EntityTooLarge", store.ErrTooLarge},
		{http.StatusInternalServerError, "InternalError", nil},
		{http.StatusMovedPermanently, "PermanentRedirect", nil},
	} {
		f.first = func(w http.ResponseWriter, _ *http.Request) bool {
			if c.code == "" {
				w.WriteHeader(c.status)
			} else {
				refuse(w, c.status, c.code)
			}
			return true
		}
		for name, call := range calls(b) {
			err := call(t.Context())
			if err == nil || errors.Is(err, objectstore.ErrNoObject) || !strings.Contains(err.Error(), bucketName) || !strings.Contains(err.Error(), `"a/`) {
				t.Errorf("%s answered with %d %s: %v; want an error that names bucket and key", name, c.status, c.code, err)
			}
			for _, kind := range kinds {
				if errors.Is(err, kind) != (kind == c.want) {
					t.Errorf("%s answered with %d %s: %v; matches %v: %v", name, c.status, c.code, err, kind, errors.Is(err, kind))
				}
			}
			if api, ok := errors.AsType[smithy.APIError](err); c.code != "" && (!ok || api.ErrorCode() != c.code) {
				t.Errorf("%s answered with %s: %v; want the SDK's error beneath", name, c.code, err)
			}
		}
	}

	// The kind reaches whoever uses the store.
	s, err := objectstore.New(f.openWith(t, s3.Options{Attempts: 1}), objectstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f.first = func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, http.StatusForbidden, "AccessDenied")
		return true
	}
	var named *store.Error
	if _, err := s.LoadLatest(t.Context(), "order-1"); !errors.Is(err, s3.ErrPermission) || !errors.As(err, &named) || named.PersistenceID != "order-1" {
		t.Errorf("LoadLatest: %v; want ErrPermission of order-1", err)
	}
}

func TestFailedKeyOfABatchDeleteHasItsKind(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	f.first = func(w http.ResponseWriter, _ *http.Request) bool {
		io.WriteString(w, `<DeleteResult><Error><Key>a/1</Key><Code>AccessDenied</Code></Error></DeleteResult>`)
		return true
	}
	if err := b.Delete(t.Context(), []string{"a/1"}); !errors.Is(err, s3.ErrPermission) || !strings.Contains(err.Error(), "a/1") {
		t.Errorf("Delete: %v; want ErrPermission that names a/1", err)
	}
}

// withoutBatches answers batch deletes as services do that have none, and counts them.
func withoutBatches(f *fake, status int, code string) (batches, single *atomic.Int64) {
	batches, single = new(atomic.Int64), new(atomic.Int64)
	f.first = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			single.Add(1)
		}
		if r.Method != http.MethodPost {
			return false
		}
		batches.Add(1)
		if code == "" {
			w.WriteHeader(status)
		} else {
			refuse(w, status, code)
		}
		return true
	}
	return batches, single
}

func TestServiceWithoutBatchDelete(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
	}{
		{http.StatusNotImplemented, "NotImplemented"}, {http.StatusNotImplemented, ""},
		{http.StatusMethodNotAllowed, "MethodNotAllowed"}, {http.StatusBadRequest, "MissingContentMD5"},
	} {
		f := newFake(t)
		b := f.open(t)
		batches, single := withoutBatches(f, c.status, c.code)
		for range 2 {
			var keys []string
			for i := range 100 {
				keys = append(keys, fmt.Sprintf("a/%03d", i))
				if err := b.Put(t.Context(), keys[i], nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Delete(t.Context(), append(keys[1:], "a/absent")); err != nil {
				t.Errorf("Delete where a batch is answered with %d %s: %v", c.status, c.code, err)
			}
			if objects, _, err := b.List(t.Context(), "a/", "", 10); err != nil || len(objects) != 1 || objects[0].Key != keys[0] {
				t.Errorf("after Delete the bucket holds %+v, %v; want %s alone", objects, err, keys[0])
			}
		}
		if batches.Load() != 1 || single.Load() != 200 {
			t.Errorf("%d batch deletes and %d single ones; want 1 and 200", batches.Load(), single.Load())
		}
		closeBucket(t, b)
	}
}

func TestBucketWithoutBatchDeleteConforms(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) objectstore.Bucket {
		f := newFake(t)
		withoutBatches(f, http.StatusNotImplemented, "NotImplemented")
		return f.open(t)
	})
}

// Single deletes are made some at a time, and a failure among them is returned.
func TestSingleDeletesAreBoundedAndFail(t *testing.T) {
	f := newFake(t)
	b := f.openWith(t, s3.Options{Attempts: 1})
	defer closeBucket(t, b)
	withoutBatches(f, http.StatusNotImplemented, "NotImplemented")
	refused := f.first
	var inFlight, most atomic.Int64
	full := make(chan struct{})
	f.first = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete {
			return refused(w, r)
		}
		now := inFlight.Add(1)
		defer inFlight.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		if now == 16 {
			close(full)
		}
		<-full // nobody is answered before all of them are there
		refuse(w, http.StatusForbidden, "AccessDenied")
		return true
	}
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("a/%d", i))
	}
	if err := b.Delete(t.Context(), keys); !errors.Is(err, s3.ErrPermission) || !strings.Contains(err.Error(), `"a/`) {
		t.Errorf("Delete: %v; want ErrPermission that names a key", err)
	}
	if most.Load() != 16 || f.requests.Load() > 100 {
		t.Errorf("%d deletes at a time, %d requests in all; want 16, and few after the first failure", most.Load(), f.requests.Load())
	}
}

func TestLargeUploadTakesNoMemory(t *testing.T) {
	body := slices.Repeat([]byte("0123456789abcdef"), 4<<20) // 64 MiB
	for _, checksum := range []s3.Checksum{s3.CRC32, s3.SHA256, s3.WhenRequired} {
		f := newFake(t)
		f.first = func(_ http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			return true
		}
		b := f.openWith(t, s3.Options{Checksum: checksum})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := b.Put(t.Context(), "a/1", body)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; err != nil || allocated > 4<<20 {
			t.Errorf("Put of %d bytes with %s: %v, %d bytes allocated; want less than 4 MiB", len(body), checksum, err, allocated)
		}
		closeBucket(t, b)
	}
}
