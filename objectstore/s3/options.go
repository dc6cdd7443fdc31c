package s3

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

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
}

// urlForm is what ParseURL reads.
const urlForm = "s3://bucket?endpoint=http://host:port&region=name&path_style=true"

// ParseURL reads a bucket's name and its Options from a URL like
//
//	s3://bucket?endpoint=http://host:port&region=name&path_style=true
//
// in which everything behind the name is optional. A URL with anything else in it
// is store.ErrInvalid, also one with a user or password. No error repeats what could
// be a secret.
func ParseURL(raw string) (name string, opts Options, err error) {
	name, opts, err = parseURL(raw)
	if err != nil {
		return "", Options{}, fmt.Errorf("s3: %w", err)
	}
	return name, opts, nil
}

func parseURL(raw string) (name string, opts Options, err error) {
	refuse := func(format string, args ...any) (string, Options, error) {
		return "", Options{}, fmt.Errorf("%w URL: %s; allowed is %s", store.ErrInvalid, fmt.Sprintf(format, args...), urlForm)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil: // which repeats the URL
		return refuse("can't be read")
	case u.Scheme != "s3":
		return refuse("scheme %q", u.Scheme)
	case u.User != nil:
		return refuse("has a user or password; credentials come from the environment")
	case u.Path != "" || u.Opaque != "":
		return refuse("has a path; what keys begin with is the store's Prefix")
	case u.Fragment != "":
		return refuse("has a fragment")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuse("parameters can't be read")
	}
	for parameter, values := range query {
		if len(values) > 1 {
			return refuse("parameter %q given %d times", parameter, len(values))
		}
		switch parameter {
		case "endpoint":
			opts.Endpoint = values[0]
		case "region":
			opts.Region = values[0]
		case "path_style":
			if !slices.Contains([]string{"true", "false"}, values[0]) {
				return refuse("path_style %q", values[0])
			}
			opts.PathStyle = values[0] == "true"
		default:
			return refuse("unknown parameter %q", parameter)
		}
	}
	if err := checkName(u.Host); err != nil {
		return "", Options{}, err
	}
	return u.Host, opts, opts.check()
}

// check returns an error unless the options are allowed.
func (o Options) check() error {
	if o.Endpoint != "" {
		const allowed = `allowed is "http://host:port" or "https://host:port"`
		u, err := url.Parse(o.Endpoint)
		switch {
		case err != nil: // which repeats it
			return fmt.Errorf("%w Endpoint: can't be read; %s", store.ErrInvalid, allowed)
		case u.User != nil:
			return fmt.Errorf("%w Endpoint: has a user or password; credentials come from the environment; %s", store.ErrInvalid, allowed)
		case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
			return fmt.Errorf("%w Endpoint %q; %s", store.ErrInvalid, o.Endpoint, allowed)
		}
	}
	notOfRegions := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-'
	}
	if len(o.Region) > 63 || strings.ContainsFunc(o.Region, notOfRegions) {
		return fmt.Errorf("%w Region %.100q; allowed are up to 63 letters, digits and '-'", store.ErrInvalid, o.Region)
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
