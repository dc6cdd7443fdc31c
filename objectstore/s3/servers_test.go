package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapstack/snapstack/objectstore/s3"
)

// These tests run on servers that others wrote:
//
//	SNAPSTACK_S3_SERVERS=versitygw,minio   builds them from the Go module proxy, once
//	                                       for each version, and starts them on loopback
//	SNAPSTACK_S3_URL=s3://name?endpoint=...  a server of one's own, with credentials from
//	                                       the AWS environment; the tests create buckets
//	                                       whose names begin with that in the URL, and
//	                                       remove them

// serverProgram is a server that the tests can build and start.
type serverProgram struct {
	name    string
	module  string // the package of its command
	version string
	env     []string
	args    func(address, directory string) []string
}

var serverPrograms = []serverProgram{
	{
		name: "versitygw", module: "github.com/versity/versitygw/cmd/versitygw", version: "v1.8.0",
		env: []string{"ROOT_ACCESS_KEY=testkey", "ROOT_SECRET_KEY=testsecret"},
		args: func(address, directory string) []string {
			return []string{"--port", address, "--keep-alive", "--quiet", "posix", directory}
		},
	},
	{
		name: "minio", module: "github.com/minio/minio", version: "v0.0.0-20260212201848-7aac2a2c5b7c",
		env: []string{"MINIO_ROOT_USER=testkey", "MINIO_ROOT_PASSWORD=testsecret", "MINIO_BROWSER=off"},
		args: func(address, directory string) []string {
			return []string{"server", "--quiet", "--address", address, directory}
		},
	}}

// server is one that a test runs on.
type server struct {
	opts    s3.Options
	name    string // what the names of the tests' buckets begin with
	process *serverProcess
}

// serverProcess is a server that runs as a child process; the process of the server
// at SNAPSTACK_S3_URL is not ours, and nil.
type serverProcess struct {
	program   serverProgram
	binary    string
	address   string
	directory string

	cmd    *exec.Cmd
	output *bytes.Buffer // read it once exited is closed
	exited chan struct{}
}

// onServers runs a test on each server that the environment asks for, in a subtest.
func onServers(t *testing.T, test func(t *testing.T, s *server)) {
	names, own := os.Getenv("SNAPSTACK_S3_SERVERS"), os.Getenv("SNAPSTACK_S3_URL")
	if names == "" && own == "" {
		t.Skip("needs a server: set SNAPSTACK_S3_SERVERS=versitygw, or SNAPSTACK_S3_URL to one's own")
	}
	if own != "" {
		name, opts, err := s3.ParseURL(own)
		if err != nil {
			t.Fatalf("SNAPSTACK_S3_URL: %v", err)
		}
		t.Run("own", func(t *testing.T) { test(t, &server{opts: opts, name: name}) })
	}
	for name := range strings.SplitSeq(names, ",") {
		if name == "" {
			continue // of no servers
		}
		at := slices.IndexFunc(serverPrograms, func(p serverProgram) bool { return p.name == name })
		if at < 0 {
			t.Fatalf("SNAPSTACK_S3_SERVERS: unknown server %q; allowed are versitygw and minio, with commas between", name)
		}
		t.Run(name, func(t *testing.T) { test(t, startServer(t, serverPrograms[at])) })
	}
}

// startServer starts the server on a directory of its own, until the test ends.
func startServer(t *testing.T, program serverProgram) *server {
	t.Helper()
	setTestEnvironment(t)
	p := &serverProcess{program: program, binary: buildServer(t, program), directory: t.TempDir()}
	t.Cleanup(func() { p.kill(t) })
	// Between finding a free port and listening on it another process may take it.
	const attempts = 3
	for attempt := 1; ; attempt++ {
		p.address = freeAddress(t)
		err := p.start(t)
		if err == nil {
			break
		}
		p.kill(t)
		if attempt == attempts {
			t.Fatalf("start %s: %v\n%s", program.name, err, p.output)
		}
	}
	return &server{opts: s3.Options{Endpoint: "http://" + p.address, PathStyle: true}, name: "snapshots", process: p}
}

// buildServer returns the path of the program, which it builds where it hasn't yet.
func buildServer(t *testing.T, program serverProgram) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(cache, "snapstack-test-servers")
	binary := filepath.Join(directory, fmt.Sprintf("%s-%s-%s", program.name, program.version, runtime.Version()))
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	if err := os.MkdirAll(directory, 0o777); err != nil {
		t.Fatal(err)
	}
	// Built aside and renamed, for other tests may build or start it meanwhile.
	aside, err := os.MkdirTemp(directory, "build-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(aside); err != nil {
			t.Error(err)
		}
	}()
	build := exec.CommandContext(t.Context(), "go", "install", "-trimpath", "-ldflags=-s -w", program.module+"@"+program.version)
	// The flags of the tests, as -race, are not for the server.
	build.Env = append(os.Environ(), "GOBIN="+aside, "GOFLAGS=", "CGO_ENABLED=0")
	build.Dir = aside
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program.name, err, output)
	}
	if err := os.Rename(filepath.Join(aside, program.name), binary); err != nil {
		t.Fatal(err)
	}
	return binary
}

// freeAddress returns an address of loopback on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

// start starts the process, and returns once it answers.
func (p *serverProcess) start(t *testing.T) error {
	t.Helper()
	p.output = new(bytes.Buffer)
	p.cmd = exec.Command(p.binary, p.program.args(p.address, p.directory)...)
	p.cmd.Env = append(os.Environ(), p.program.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return err
	}
	exited := make(chan struct{})
	p.exited = exited
	cmd := p.cmd
	go func() {
		defer close(exited)
		cmd.Wait() // an error is how a process ends that is killed
	}()

	// Nothing but asking tells when the process of another listens.
	client := newClient(t, s3.Options{Endpoint: "http://" + p.address, PathStyle: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := client.ListBuckets(ctx, &awss3.ListBucketsInput{}, func(o *awss3.Options) { o.RetryMaxAttempts = 1 })
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return errors.New("it has exited")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// kill ends the process without warning, and returns once it has ended.
func (p *serverProcess) kill(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill %s: %v", p.program.name, err)
	}
	<-p.exited
	p.cmd = nil
}

// newBucket creates an empty bucket, which goes with the test.
func (s *server) newBucket(t *testing.T) (name string) {
	t.Helper()
	client := newClient(t, s.opts)
	name = s.name + "-" + strings.ToLower(rand.Text()[:16])
	if _, err := client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		t.Fatalf("create bucket %q: %v", name, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // that of the test has ended
		defer cancel()
		if err := removeBucket(ctx, client, name); err != nil {
			t.Errorf("remove bucket %q: %v", name, err)
		}
	})
	return name
}

func removeBucket(ctx context.Context, client *awss3.Client, name string) error {
	pages := awss3.NewListObjectsV2Paginator(client, &awss3.ListObjectsV2Input{Bucket: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var objects []types.ObjectIdentifier
		for _, object := range page.Contents {
			objects = append(objects, types.ObjectIdentifier{Key: object.Key})
		}
		if len(objects) == 0 {
			continue
		}
		if _, err := client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: aws.String(name), Delete: &types.Delete{Objects: objects}}); err != nil {
			return err
		}
	}
	_, err := client.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: aws.String(name)})
	return err
}

// open opens the bucket of the name; the caller closes it.
func (s *server) open(t *testing.T, name string) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(t.Context(), name, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// url returns the bucket of the name as stacks name it.
func (s *server) url(name string) string {
	query := url.Values{}
	if s.opts.Endpoint != "" {
		query.Set("endpoint", s.opts.Endpoint)
	}
	if s.opts.Region != "" {
		query.Set("region", s.opts.Region)
	}
	query.Set("path_style", fmt.Sprint(s.opts.PathStyle))
	return "s3://" + name + "?" + query.Encode()
}

// newClient returns a client of the SDK, for what a Bucket does not do.
func newClient(t *testing.T, opts s3.Options) *awss3.Client {
	t.Helper()
	region := opts.Region
	if region == "" && opts.Endpoint != "" {
		region = "us-east-1"
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region))
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		if opts.Endpoint != "" {
			o.BaseEndpoint = aws.String(opts.Endpoint)
		}
		o.UsePathStyle = opts.PathStyle
		o.HTTPClient = &http.Client{Transport: transport}
	})
}
