package s3

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapstack/snapstack/store"
)

// Options configures a Bucket. The zero value is for AWS, with the region from the
// environment or the shared configuration.
type Options struct {
	// Endpoint is the URL of a service other than AWS, as "https://host:port"; empty
	// means AWS, or what AWS_ENDPOINT_URL_S3 says.
	Endpoint string

	// Region is that of the bucket, as "eu-central-1"; empty means AWS_REGION or
	// the shared configuration, and beside an Endpoint, where those say nothing,
	// us-east-1.
	Region string

	// PathStyle puts the bucket's name in the path of URLs instead of their host, as
	// many services other than AWS need it.
	PathStyle bool

	// Credentials gives the keys that sign requests, and new ones before they expire;
	// nil means those of the environment, the shared configuration files or the role
	// of the machine. It has no text form.
	Credentials aws.CredentialsProvider

	// CAFile is the path of a file of PEM certificates. The endpoint's certificate
	// must be signed by one of them; empty means by one that the system trusts, or
	// that of AWS_CA_BUNDLE.
	CAFile string

	// Encryption is how the service encrypts objects at rest; empty means as the
	// bucket says.
	Encryption Encryption

	// KMSKey is the id, alias or ARN of the key for KMS; empty means the one that AWS
	// manages.
	KMSKey string

	// Checksum is what uploads are checked with.
	Checksum Checksum

	// AttemptTimeout limits one HTTP request, from connecting to the last byte of the
	// answer; 0 means a minute, negative values mean no limit. What takes longer is
	// tried again. It must leave time for the largest state at the slowest rate.
	AttemptTimeout time.Duration

	// Timeout limits a call with all its attempts and the pauses between; 0 means that
	// only its context does.
	Timeout time.Duration

	// Attempts is how often a request is made that fails in a way which may pass; 0
	// means what AWS_MAX_ATTEMPTS or the shared configuration say, or else 3, and 1
	// means once. The pauses between grow to at most 20 seconds.
	Attempts int
}

// Encryption is a way to encrypt objects at rest.
type Encryption string

const (
	SSES3  Encryption = "s3"  // with keys that the service manages
	SSEKMS Encryption = "kms" // with a key of its key management service
)

// Checksum is a way to check uploads.
type Checksum string

const (
	CRC32  Checksum = "crc32"  // the default
	CRC32C Checksum = "crc32c" // faster to check for some services
	SHA256 Checksum = "sha256"
	MD5    Checksum = "md5" // for services that know only Content-MD5

	// WhenRequired sends a checksum, a CRC-32, with batch deletes alone. It is the
	// default where AWS_REQUEST_CHECKSUM_CALCULATION or the shared configuration say so.
	WhenRequired Checksum = "when_required"
)

const defaultAttemptTimeout = time.Minute

// check returns an error unless the options are allowed.
func (o Options) check() error {
	if err := checkEndpoint(o.Endpoint); err != nil {
		return err
	}
	notOfRegions := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-'
	}
	if len(o.Region) > 63 || strings.ContainsFunc(o.Region, notOfRegions) {
		return fmt.Errorf("%w Region %.100q; allowed are up to 63 letters, digits and '-'", store.ErrInvalid, o.Region)
	}
	switch o.Encryption {
	case "", SSES3, SSEKMS:
	default:
		return fmt.Errorf("%w Encryption %.100q; allowed are nothing, %q and %q", store.ErrInvalid, o.Encryption, SSES3, SSEKMS)
	}
	if o.KMSKey != "" && o.Encryption != SSEKMS {
		return fmt.Errorf("%w KMSKey: given with the Encryption %q; allowed is it with %q alone", store.ErrInvalid, o.Encryption, SSEKMS)
	}
	switch o.Checksum {
	case "", CRC32, CRC32C, SHA256, MD5, WhenRequired:
	default:
		return fmt.Errorf("%w Checksum %.100q; allowed are nothing, %q, %q, %q, %q and %q", store.ErrInvalid, o.Checksum, CRC32, CRC32C, SHA256, MD5, WhenRequired)
	}
	if o.Timeout < 0 {
		return fmt.Errorf("%w Timeout %v; allowed are 0 (none) and more", store.ErrInvalid, o.Timeout)
	}
	if o.Attempts < 0 {
		return fmt.Errorf("%w Attempts %d; allowed are 0 (the default) and more", store.ErrInvalid, o.Attempts)
	}
	return nil
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	const allowed = `allowed is "http://host:port" or "https://host:port"`
	u, err := url.Parse(endpoint)
	switch {
	case err != nil: // which repeats it
		return fmt.Errorf("%w Endpoint: can't be read; %s", store.ErrInvalid, allowed)
	case u.User != nil:
		return fmt.Errorf("%w Endpoint: has a user or password; credentials come from the environment; %s", store.ErrInvalid, allowed)
	case u.RawQuery != "", u.Fragment != "": // which may be a secret
		return fmt.Errorf("%w Endpoint: has parameters; %s", store.ErrInvalid, allowed)
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Path != "" && u.Path != "/":
		return fmt.Errorf("%w Endpoint %q; %s", store.ErrInvalid, endpoint, allowed)
	}
	return nil
}

// checkName returns an error unless name may be that of a bucket.
func checkName(name string) error {
	const allowed = "allowed are 3 to 63 of a-z, 0-9, '.' and '-', with a letter or digit at both ends"
	notOfNames := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' }
	switch {
	case len(name) < 3, len(name) > 63, strings.ContainsFunc(name, notOfNames), strings.Trim(name, ".-") != name:
		return fmt.Errorf("%w bucket name %.100q; %s", store.ErrInvalid, name, allowed)
	case strings.HasSuffix(name, "--x-s3"):
		return fmt.Errorf("%w bucket name %q: is a directory bucket of S3 Express, which lists keys in no order; allowed are general purpose buckets", store.ErrInvalid, name)
	}
	return nil
}

// readCAFile returns what is in the CAFile, which has at least one certificate.
func readCAFile(path string) ([]byte, error) {
	const allowed = "allowed is a file of PEM certificates"
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w CAFile: %w; %s", store.ErrInvalid, err, allowed)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w CAFile %q: has no certificate; %s", store.ErrInvalid, path, allowed)
	}
	return pem, nil
}
