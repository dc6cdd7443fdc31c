package s3_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/s3"
)

const bucketName = "snapshots"

// fake is a server for the part of the S3 API that a Bucket needs. Its bucket is
// bucketName, addressed by path.
type fake struct {
	url      string
	objects  *objectstore.MemoryBucket
	requests atomic.Int64

	// first is called ahead of each request, and says whether it has answered it.
	// Nil answers none.
	first func(w http.ResponseWriter, r *http.Request) bool

	unchecked bool // takes uploads without a checksum
}

func newFake(t testing.TB) *fake {
	t.Helper()
	setTestEnvironment(t)
	f := &fake{objects: objectstore.NewMemoryBucket()}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// setTestEnvironment gives the credentials of the test servers and nothing of the
// machine's own configuration.
func setTestEnvironment(t testing.TB) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "testkey")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testsecret")
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "/nonexistent")
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
}

// open opens the bucket; the caller closes it.
func (f *fake) open(t testing.TB) *s3.Bucket {
	t.Helper()
	return f.openWith(t, s3.Options{})
}

// openWith opens the bucket with more options.
func (f *fake) openWith(t testing.TB, opts s3.Options) *s3.Bucket {
	t.Helper()
	opts.Endpoint, opts.PathStyle = f.url, true
	b, err := s3.Open(t.Context(), bucketName, opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests.Add(1)
	if f.first != nil && f.first(w, r) {
		return
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=testkey/") {
		refuse(w, http.StatusForbidden, "AccessDenied")
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch {
	case bucket != bucketName:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPut && key != "":
		f.put(w, r, key)
	case r.Method == http.MethodGet && key != "":
		f.get(w, r, key)
	case r.Method == http.MethodGet && query.Get("list-type") == "2":
		f.list(w, r, query)
	case r.Method == http.MethodPost && query.Has("delete"):
		f.delete(w, r)
	case r.Method == http.MethodDelete && key != "":
		if err := f.objects.Delete(r.Context(), []string{key}); err != nil {
			refuse(w, http.StatusInternalServerError, "InternalError")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}

// checkedBody returns the body if its length and checksums are as announced. A
// checksum is required, unless the fake is unchecked.
func (f *fake) checkedBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil || int64(len(body)) != r.ContentLength {
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return nil, false
	}
	sha, md := sha256.Sum256(body), md5.Sum(body)
	checked := f.unchecked
	for header, sum := range map[string][]byte{
		"X-Amz-Checksum-Crc32":  binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)),
		"X-Amz-Checksum-Crc32c": binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))),
		"X-Amz-Checksum-Sha256": sha[:],
		"Content-Md5":           md[:],
	} {
		switch r.Header.Get(header) {
		case "":
		case base64.StdEncoding.EncodeToString(sum):
			checked = true
		default:
			refuse(w, http.StatusBadRequest, "BadDigest")
			return nil, false
		}
	}
	if !checked {
		refuse(w, http.StatusBadRequest, "BadDigest")
		return nil, false
	}
	return body, true
}

func (f *fake) put(w http.ResponseWriter, r *http.Request, key string) {
	body, ok := f.checkedBody(w, r)
	if !ok {
		return
	}
	put := f.objects.Put
	if r.Header.Get("If-None-Match") == "*" {
		put = f.objects.Create
	}
	err := put(r.Context(), key, body)
	if errors.Is(err, objectstore.ErrExists) {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	} else if err != nil {
		refuse(w, http.StatusInternalServerError, "InternalError")
	}
}

func (f *fake) get(w http.ResponseWriter, r *http.Request, key string) {
	body, etag, err := f.objects.Get(r.Context(), key)
	switch {
	case errors.Is(err, objectstore.ErrNoObject):
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case err != nil:
		refuse(w, http.StatusInternalServerError, "InternalError")
	default:
		w.Header().Set("ETag", strconv.Quote(etag))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
		w.Header().Set("X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(sum))
		w.Write(body) // an error means that the client has gone
	}
}

type listResult struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           bool
	EncodingType          string
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listedObject
}

type listedObject struct {
	Key  string
	Size int64
	ETag string
}

func (f *fake) list(w http.ResponseWriter, r *http.Request, query url.Values) {
	limit, err := strconv.Atoi(query.Get("max-keys"))
	if err != nil || limit < 1 || limit > 1000 || query.Get("encoding-type") != "url" {
		refuse(w, http.StatusBadRequest, "InvalidArgument")
		return
	}
	after := query.Get("start-after")
	if token := query.Get("continuation-token"); token != "" {
		after = token
	}
	objects, more, err := f.objects.List(r.Context(), query.Get("prefix"), after, limit)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "InternalError")
		return
	}
	result := listResult{IsTruncated: more, EncodingType: "url"}
	for _, object := range objects {
		// As S3 encodes keys: like a form, but for the slashes.
		key := strings.ReplaceAll(url.QueryEscape(object.Key), "%2F", "/")
		result.Contents = append(result.Contents, listedObject{Key: key, Size: object.Size, ETag: strconv.Quote(object.ETag)})
	}
	if more {
		result.NextContinuationToken = objects[len(objects)-1].Key
	}
	answer(w, http.StatusOK, result)
}

func (f *fake) delete(w http.ResponseWriter, r *http.Request) {
	body, ok := f.checkedBody(w, r)
	if !ok {
		return
	}
	var request struct {
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(body, &request); err != nil || len(request.Object) == 0 || len(request.Object) > 1000 {
		refuse(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	var keys []string
	for _, object := range request.Object {
		keys = append(keys, object.Key)
	}
	if err := f.objects.Delete(r.Context(), keys); err != nil {
		refuse(w, http.StatusInternalServerError, "InternalError")
		return
	}
	answer(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"DeleteResult"`
	}{})
}

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: "the fake says " + code})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	encoded, err := xml.Marshal(body)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, "%s%s", xml.Header, encoded) // an error means that the client has gone
}
