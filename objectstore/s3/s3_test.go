package s3_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/buckettest"
	"github.com/snapstack/snapstack/objectstore/s3"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBucket(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) objectstore.Bucket { return newFake(t).open(t) })
}

func TestConformance(t *testing.T) {
	f := newFake(t)
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		f.objects = objectstore.NewMemoryBucket() // the store is to be empty
		s, err := objectstore.New(f.open(t), objectstore.Options{Prefix: "some/prefix/", Keep: c.Keep})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// An operation of the bucket is one HTTP request, whatever the SDK thinks of.
func TestRequestsAreHTTPRequests(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	check := func(what string, err error) {
		t.Helper()
		if n := f.requests.Swap(0); err != nil || n != 1 {
			t.Errorf("%s: %d HTTP requests, %v; want 1", what, n, err)
		}
	}
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprint("many/", i))
	}
	check("Put", b.Put(t.Context(), "a/1", []byte("one")))
	check("Put of 20 MB", b.Put(t.Context(), "a/2", make([]byte, 20<<20)))
	_, _, err := b.Get(t.Context(), "a/2")
	check("Get of 20 MB", err)
	_, _, err = b.List(t.Context(), "a/", "", 1)
	check("List of one", err)
	_, _, err = b.List(t.Context(), "absent/", "", 1000)
	check("List of nothing", err)
	check("Delete of 1000", b.Delete(t.Context(), keys))
}

func TestErrorsNameBucketAndKey(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	calls := func(ctx context.Context) map[string]error {
		_, _, get := b.Get(ctx, "a/1")
		_, _, list := b.List(ctx, "a/", "", 1)
		return map[string]error{"put": b.Put(ctx, "a/1", nil), "get": get, "list": list, "delete": b.Delete(ctx, []string{"a/1"})}
	}
	for _, c := range []struct {
		status int
		code   string
	}{
		{http.StatusNotFound, "NoSuchBucket"},
		{http.StatusForbidden, "AccessDenied"},
		{http.StatusNotFound, "SomethingElse"},
		{http.StatusMovedPermanently, "PermanentRedirect"},
	} {
		f.first = func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, c.status, c.code)
			return true
		}
		for request, err := range calls(t.Context()) {
			if err == nil || errors.Is(err, objectstore.ErrNoObject) || !strings.Contains(err.Error(), c.code) ||
				!strings.Contains(err.Error(), `"`+bucketName+`": `+request) || !strings.Contains(err.Error(), `"a/`) {
				t.Errorf("%s answered with %s: %v; want an error that names it, the bucket and the key", request, c.code, err)
			}
		}
	}
	// An answer without a code, as of a proxy, does not say that an object is absent.
	f.first = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	}
	for request, err := range calls(t.Context()) {
		if err == nil || errors.Is(err, objectstore.ErrNoObject) {
			t.Errorf("%s answered with a bare 404: %v; want an error that is not ErrNoObject", request, err)
		}
	}
	if strings.Contains(fmt.Sprint(calls(t.Context())), "testsecret") {
		t.Error("an error repeats the secret key")
	}
}

func TestUnknownBucketIsNotAnEmptyOne(t *testing.T) {
	f := newFake(t)
	b, err := s3.Open(t.Context(), "no-such-bucket", s3.Options{Endpoint: f.url, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := objectstore.New(b, objectstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.LoadLatest(t.Context(), "order-1"); err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), `"no-such-bucket"`) {
		t.Errorf("LoadLatest from a bucket that does not exist: %v; want an error that names it", err)
	}
}

func TestFailedDeletesAreReported(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	type failure struct{ Key, Code, Message string }
	var failures []failure
	f.first = func(w http.ResponseWriter, r *http.Request) bool {
		answer(w, http.StatusOK, struct {
			XMLName xml.Name  `xml:"DeleteResult"`
			Error   []failure `xml:"Error"`
		}{Error: failures})
		return true
	}
	failures = []failure{{"a/1", "NoSuchKey", "absent"}, {"a/2", "AccessDenied", "locked"}, {"a/3", "InternalError", "oops"}}
	err := b.Delete(t.Context(), []string{"a/1", "a/2", "a/3"})
	for _, want := range []string{bucketName, "a/2", "AccessDenied", "locked", "1 more of 3"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Delete of which two fail: %v; want an error with %q", err, want)
		}
	}
	failures = failures[:1]
	if err := b.Delete(t.Context(), []string{"a/1"}); err != nil {
		t.Errorf("Delete of an absent key: %v; want nil", err)
	}
}

func TestDamageOnTheWayIsAnError(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	if err := b.Put(t.Context(), "a/1", []byte("twelve bytes")); err != nil {
		t.Fatal(err)
	}
	for name, reply := range map[string]func(w http.ResponseWriter){
		"cut off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "12")
			w.Write([]byte("twelve"))
		},
		"altered": func(w http.ResponseWriter) {
			w.Header().Set("X-Amz-Checksum-Crc32", "AAAAAA==")
			w.Header().Set("Content-Length", "12")
			w.Write([]byte("TWELVE BYTES"))
		},
	} {
		f.first = func(w http.ResponseWriter, r *http.Request) bool {
			reply(w)
			return true
		}
		if body, _, err := b.Get(t.Context(), "a/1"); err == nil || errors.Is(err, objectstore.ErrNoObject) {
			t.Errorf("Get whose answer is %s = %q, %v; want an error", name, body, err)
		}
	}
	f.first = func(w http.ResponseWriter, r *http.Request) bool {
		w.(http.Flusher).Flush() // no length is announced
		w.Write([]byte("twelve bytes"))
		return true
	}
	if body, _, err := b.Get(t.Context(), "a/1"); err != nil || string(body) != "twelve bytes" {
		t.Errorf("Get whose answer tells no length = %q, %v; want it whole", body, err)
	}
}

// A service may look through its index for a while and answer with an empty page.
func TestEmptyPagesAreSkipped(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	for _, key := range []string{"a/1", "a/2"} {
		if err := b.Put(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	token := "a/0"
	f.first = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("continuation-token") {
			return false
		}
		answer(w, http.StatusOK, listResult{IsTruncated: true, NextContinuationToken: token})
		return true
	}
	objects, more, err := b.List(t.Context(), "a/", "", 1)
	if err != nil || len(objects) != 1 || objects[0].Key != "a/1" || !more {
		t.Errorf("List = %+v, %v, %v; want a/1 and more", objects, more, err)
	}
	token = ""
	if objects, _, err := b.List(t.Context(), "a/", "", 1); err == nil {
		t.Errorf("List of an empty page that leads nowhere = %+v; want an error", objects)
	}
}

func TestKeysOfOthersMayHaveAnyCharacters(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	want := []string{"a/ b", "a/%41", "a/+", "a/\x01\x0b", "a/é"}
	slices.Sort(want)
	for _, key := range want {
		if err := f.objects.Put(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	objects, _, err := b.List(t.Context(), "a/", "", 100)
	var got []string
	for _, object := range objects {
		got = append(got, object.Key)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List = %q, %v; want %q", got, err, want)
	}
}

func TestContextEndsARequest(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	for name, call := range map[string]func(ctx context.Context) error{
		"Put": func(ctx context.Context) error { return b.Put(ctx, "a/1", make([]byte, 1<<20)) },
		"Get": func(ctx context.Context) error {
			_, _, err := b.Get(ctx, "a/1")
			return err
		},
		"Get of a body": func(ctx context.Context) error {
			_, _, err := b.Get(ctx, "a/body")
			return err
		},
		"List": func(ctx context.Context) error {
			_, _, err := b.List(ctx, "a/", "", 1)
			return err
		},
		"Delete": func(ctx context.Context) error { return b.Delete(ctx, []string{"a/1"}) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		f.first = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/body") {
				w.Header().Set("Content-Length", "100")
				w.Write([]byte("the first few"))
				w.(http.Flusher).Flush()
			}
			io.Copy(io.Discard, r.Body) // the server notices a hang-up only behind the body
			cancel()
			<-r.Context().Done()
			return true
		}
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s whose context ends: %v; want an error matching context.Canceled", name, err)
		}
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	newFake(t) // for its environment
	for _, c := range []struct {
		name  string
		opts  s3.Options
		named string // in the error
	}{
		{"", s3.Options{Region: "eu-central-1"}, "bucket name"},
		{"ab", s3.Options{Region: "eu-central-1"}, `"ab"`},
		{"Upper", s3.Options{Region: "eu-central-1"}, `"Upper"`},
		{"with/slash", s3.Options{Region: "eu-central-1"}, `"with/slash"`},
		{".dot", s3.Options{Region: "eu-central-1"}, `".dot"`},
		{strings.Repeat("x", 64), s3.Options{Region: "eu-central-1"}, "bucket name"},
		{"express--usw2-az1--x-s3", s3.Options{Region: "us-west-2"}, "S3 Express"},
		{bucketName, s3.Options{}, "Region"},
		{bucketName, s3.Options{Region: "eu central"}, `Region "eu central"`},
		{bucketName, s3.Options{Endpoint: "localhost:9000"}, "Endpoint"},
		{bucketName, s3.Options{Endpoint: "ftp://localhost"}, `Endpoint "ftp://localhost"`},
		{bucketName, s3.Options{Endpoint: "http://"}, `Endpoint "http://"`},
		{bucketName, s3.Options{Endpoint: "http://localhost/path"}, "Endpoint"},
		{bucketName, s3.Options{Endpoint: "http://localhost?a=b"}, "Endpoint"},
		{bucketName, s3.Options{Endpoint: "http://key:testsecret@localhost"}, "credentials come from the environment"},
		{bucketName, s3.Options{Endpoint: "http://key:testsecret@local host"}, "Endpoint"},
		{bucketName, s3.Options{Region: "r", Encryption: "rot13"}, `Encryption "rot13"`},
		{bucketName, s3.Options{Region: "r", Encryption: s3.SSES3, KMSKey: "k"}, "KMSKey"},
		{bucketName, s3.Options{Region: "r", Checksum: "crc"}, `Checksum "crc"`},
		{bucketName, s3.Options{Region: "r", Timeout: -1}, "Timeout -1ns"},
		{bucketName, s3.Options{Region: "r", Attempts: -1}, "Attempts -1"},
		{bucketName, s3.Options{Region: "r", CAFile: "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"},
		{bucketName, s3.Options{Region: "r", CAFile: "s3_test.go"}, `CAFile "s3_test.go"`},
	} {
		b, err := s3.Open(t.Context(), c.name, c.opts)
		if b != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), c.named) || !strings.Contains(err.Error(), "s3: ") || strings.Contains(err.Error(), "testsecret") {
			t.Errorf("Open(%q, %+v): %v; want ErrInvalid that names %s", c.name, c.opts, err, c.named)
		}
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	b, err := s3.Open(t.Context(), bucketName, s3.Options{})
	if err != nil {
		t.Fatalf("Open with the region in the environment: %v", err)
	}
	closeBucket(t, b)
}

func TestParseURL(t *testing.T) {
	name, opts, err := s3.ParseURL("s3://snapshots?endpoint=http://localhost:9000&region=r-1&path_style=true")
	if want := (s3.Options{Endpoint: "http://localhost:9000", Region: "r-1", PathStyle: true}); err != nil || name != "snapshots" || opts != want {
		t.Errorf("ParseURL = %q, %+v, %v; want snapshots, %+v", name, opts, err, want)
	}
	name, opts, err = s3.ParseURL("s3://snapshots?ca_file=/etc/ca.pem&encryption=kms&kms_key=alias/k&checksum=sha256&attempt_timeout=5s&timeout=1m&attempts=7")
	if want := (s3.Options{
		CAFile: "/etc/ca.pem", Encryption: s3.SSEKMS, KMSKey: "alias/k", Checksum: s3.SHA256,
		AttemptTimeout: 5 * time.Second, Timeout: time.Minute, Attempts: 7,
	}); err != nil || name != "snapshots" || opts != want {
		t.Errorf("ParseURL = %q, %+v, %v; want snapshots, %+v", name, opts, err, want)
	}
	name, opts, err = s3.ParseURL("s3://my.snapshots")
	if err != nil || name != "my.snapshots" || opts != (s3.Options{}) {
		t.Errorf("ParseURL = %q, %+v, %v; want my.snapshots and no options", name, opts, err)
	}
	for raw, says := range map[string]string{
		"":                                 "scheme",
		"snapshots":                        "scheme",
		"http://snapshots":                 `scheme "http"`,
		"s3:snapshots":                     "path",
		"s3://":                            "bucket name",
		"s3://Snapshots":                   "bucket name",
		"s3://snapshots:80":                "bucket name",
		"s3://snapshots/":                  "Prefix",
		"s3://snapshots/a/prefix":          "Prefix",
		"s3://snapshots#testsecret":        "fragment",
		"s3://key:testsecret@snapshots":    "credentials come from the environment",
		"s3://key:testsecret@snap shots":   "can't be read",
		"s3://snapshots?secret=testsecret": `parameter "secret" looks like a secret`,
		"s3://snapshots?secret_access_key=testsecret":      "looks like a secret",
		"s3://snapshots?AWSAccessKeyId=testsecret":         "looks like a secret",
		"s3://snapshots?session_token=testsecret":          "looks like a secret",
		"s3://snapshots?X-Amz-Credential=testsecret":       "looks like a secret",
		"s3://snapshots?password=testsecret":               "looks like a secret",
		"s3://snapshots?colour=testsecret":                 `unknown parameter "colour"`,
		"s3://snapshots?encryption=rot13":                  `Encryption "rot13"`,
		"s3://snapshots?kms_key=k":                         "KMSKey",
		"s3://snapshots?encryption=s3&kms_key=k":           "KMSKey",
		"s3://snapshots?checksum=crc":                      `Checksum "crc"`,
		"s3://snapshots?timeout=5":                         `timeout "5"`,
		"s3://snapshots?timeout=-5s":                       `timeout "-5s"`,
		"s3://snapshots?attempt_timeout=0s":                `attempt_timeout "0s"`,
		"s3://snapshots?attempts=0":                        `attempts "0"`,
		"s3://snapshots?endpoint=http://h?testsecret":      "Endpoint",
		"s3://snapshots?Region=r":                          `unknown parameter "Region"`,
		"s3://snapshots?region=a&region=b":                 `"region" given 2 times`,
		"s3://snapshots?region=a;b":                        "parameters",
		"s3://snapshots?region=a/b":                        `Region "a/b"`,
		"s3://snapshots?path_style=yes":                    `path_style "yes"`,
		"s3://snapshots?path_style":                        `path_style ""`,
		"s3://snapshots?endpoint=host:90":                  "Endpoint",
		"s3://snapshots?endpoint=http://k:testsecret@host": "credentials come from the environment",
	} {
		name, opts, err := s3.ParseURL(raw)
		if !errors.Is(err, store.ErrInvalid) || name != "" || opts != (s3.Options{}) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "allowed") && !strings.Contains(err.Error(), "credentials") || strings.Contains(err.Error(), "testsecret") {
			t.Errorf("ParseURL(%q) = %q, %+v, %v; want ErrInvalid that says %s", raw, name, opts, err, says)
		}
	}
}

func closeBucket(t *testing.T, b *s3.Bucket) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
