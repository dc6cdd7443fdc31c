package s3

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snapstack/snapstack/store"
)

// urlForm is what ParseURL reads.
const urlForm = "s3://bucket?endpoint=http://host:port&region=name, with parameters endpoint, region, path_style, ca_file, encryption, kms_key, checksum, attempt_timeout, timeout, attempts"

// ParseURL reads a bucket's name and its Options from a URL like
//
//	s3://bucket?endpoint=http://host:port&region=name&path_style=true
//
// Everything behind the name is optional. The parameters are those of Options:
//
//	endpoint         http://host:port or https://host:port
//	region           as eu-central-1
//	path_style       true or false
//	ca_file          path of a file of PEM certificates
//	encryption       s3 or kms
//	kms_key          id, alias or ARN of a key
//	checksum         crc32, crc32c, sha256, md5 or when_required
//	attempt_timeout  a duration above 0, as 30s, or a negative one for no limit
//	timeout          a duration above 0, as 2m
//	attempts         a whole number of 1 or more
//
// A URL with anything else in it is store.ErrInvalid, also one with a user, password
// or key: credentials come from the environment. No error repeats what could be a
// secret.
func ParseURL(raw string) (name string, opts Options, err error) {
	name, opts, err = parseURL(raw)
	if err != nil {
		return "", Options{}, fmt.Errorf("s3: %w", err)
	}
	return name, opts, nil
}

func parseURL(raw string) (name string, opts Options, err error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil: // which repeats the URL
		return "", opts, refuse("can't be read")
	case u.Scheme != "s3":
		return "", opts, refuse("scheme %q", u.Scheme)
	case u.User != nil:
		return "", opts, refuse("has a user or password; credentials come from the environment")
	case u.Path != "" || u.Opaque != "":
		return "", opts, refuse("has a path; what keys begin with is the store's Prefix")
	case u.Fragment != "":
		return "", opts, refuse("has a fragment")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", opts, refuse("parameters can't be read")
	}
	for parameter, values := range query {
		if len(values) > 1 {
			return "", opts, refuse("parameter %q given %d times", parameter, len(values))
		}
		if err := opts.set(parameter, values[0]); err != nil {
			return "", opts, err
		}
	}
	if err := checkName(u.Host); err != nil {
		return "", opts, err
	}
	return u.Host, opts, opts.check()
}

// set sets the option of the parameter. Of an unknown one it does not repeat the
// value, which may be a secret.
func (o *Options) set(parameter, value string) error {
	switch parameter {
	case "endpoint":
		o.Endpoint = value
	case "region":
		o.Region = value
	case "ca_file":
		o.CAFile = value
	case "encryption":
		o.Encryption = Encryption(value)
	case "kms_key":
		o.KMSKey = value
	case "checksum":
		o.Checksum = Checksum(value)
	case "path_style":
		if !slices.Contains([]string{"true", "false"}, value) {
			return refuse("path_style %.100q; allowed are true and false", value)
		}
		o.PathStyle = value == "true"
	case "attempt_timeout":
		d, err := time.ParseDuration(value)
		if err != nil || d == 0 {
			return refuse("attempt_timeout %.100q; allowed is a duration, as 30s or 2m, or a negative one for no limit", value)
		}
		o.AttemptTimeout = d
	case "timeout":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return refuse("timeout %.100q; allowed is a duration above 0, as 30s or 2m", value)
		}
		o.Timeout = d
	case "attempts":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return refuse("attempts %.100q; allowed is a whole number of 1 or more", value)
		}
		o.Attempts = n
	default:
		if looksSecret(parameter) {
			return refuse("parameter %.100q looks like a secret; credentials come from the environment", parameter)
		}
		return refuse("unknown parameter %.100q", parameter)
	}
	return nil
}

// looksSecret says whether somebody may have put credentials into the parameter.
func looksSecret(parameter string) bool {
	lower := strings.ToLower(parameter)
	return slices.ContainsFunc([]string{"secret", "key", "token", "password", "credential", "signature"}, func(word string) bool {
		return strings.Contains(lower, word)
	})
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w URL: %s; allowed is %s", store.ErrInvalid, fmt.Sprintf(format, args...), urlForm)
}
