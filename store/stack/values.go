package stack

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/store"
)

// values reads the options of one layer. Each method takes the option of that name
// and returns the zero value where it is not given; what was never asked for is
// unknown. The first error is kept for check.
type values struct {
	layer Layer
	asked []string
	given map[string][]string
	err   error
}

func newValues(layer Layer) *values {
	v := &values{layer: layer, given: make(map[string][]string)}
	for _, option := range layer.Options {
		v.given[option.Name] = append(v.given[option.Name], option.Value)
	}
	return v
}

// check returns what was wrong, after every known option has been asked for.
func (v *values) check() error {
	allowed := "it has no options"
	if len(v.asked) > 0 {
		allowed = "allowed are " + strings.Join(v.asked, ", ")
	}
	for _, name := range v.asked {
		delete(v.given, name)
	}
	for _, option := range v.layer.Options {
		if _, unknown := v.given[option.Name]; unknown {
			return fmt.Errorf("%w: %s: unknown option %q; %s", store.ErrInvalid, v.layer.Name, option.Name, allowed)
		}
	}
	return v.err
}

func (v *values) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

func (v *values) take(name string) (string, bool) {
	given := v.takeAll(name)
	switch len(given) {
	case 0:
		return "", false
	case 1:
	default:
		v.fail(fmt.Errorf("%w: %s: option %q is given twice", store.ErrInvalid, v.layer.Name, name))
	}
	return given[0], true
}

func (v *values) takeAll(name string) []string {
	v.asked = append(v.asked, name)
	return v.given[name]
}

// refuse keeps the error that value is none of what is allowed.
func (v *values) refuse(name, value, allowed string) {
	v.fail(fmt.Errorf("%w: %s: option %s=%s; allowed is %s", store.ErrInvalid, v.layer.Name, name, quote(value), allowed))
}

func (v *values) text(name string) string {
	value, _ := v.take(name)
	return value
}

// required returns a text that must be given.
func (v *values) required(name, meaning string) string {
	value, _ := v.take(name)
	if value == "" {
		v.fail(fmt.Errorf("%w: %s: option %q is required: %s", store.ErrInvalid, v.layer.Name, name, meaning))
	}
	return value
}

// parsed hands a text to parse, whose error says what is wrong with it and what is
// allowed.
func (v *values) parsed(name string, parse func(string) error) {
	value, given := v.take(name)
	if given {
		v.parse(name, value, parse)
	}
}

// eachParsed is parsed for an option that may be given several times.
func (v *values) eachParsed(name string, parse func(string) error) {
	for _, value := range v.takeAll(name) {
		v.parse(name, value, parse)
	}
}

// requiredParsed is parsed for a text that must be given.
func (v *values) requiredParsed(name, meaning string, parse func(string) error) {
	if value := v.required(name, meaning); value != "" {
		v.parse(name, value, parse)
	}
}

func (v *values) parse(name, value string, parse func(string) error) {
	if err := parse(value); err != nil {
		v.fail(fmt.Errorf("%s: option %s: %w", v.layer.Name, name, err))
	}
}

func (v *values) count(name string) int {
	value, given := v.take(name)
	if !given {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		v.refuse(name, value, "a whole number of 0 or more")
	}
	return n
}

func (v *values) toggle(name string) bool {
	value, given := v.take(name)
	if given && value != "true" && value != "false" {
		v.refuse(name, value, "true or false")
	}
	return value == "true"
}

// size returns a number of bytes, which may be 0 only where zero says so: in the
// options of a package it stands for the default.
func (v *values) size(name string, zero bool) (bytes int64, given bool) {
	value, given := v.take(name)
	if !given {
		return 0, false
	}
	n, err := humanize.ParseBytes(value)
	if err != nil || n > math.MaxInt64 || n == 0 && !zero {
		v.refuse(name, value, "a size, as 65536, 64KiB or 64MiB")
		return 0, false
	}
	return int64(n), true
}

// sizeWithin returns a number of bytes that suits, for which allowed is another word.
func (v *values) sizeWithin(name, allowed string, suits func(int64) bool) int64 {
	value, given := v.take(name)
	if !given {
		return 0
	}
	n, err := humanize.ParseBytes(value)
	if err != nil || n > math.MaxInt64 || !suits(int64(n)) {
		v.refuse(name, value, allowed)
		return 0
	}
	return int64(n)
}

// duration returns a time that suits, for which allowed is another word.
func (v *values) duration(name, allowed string, suits func(time.Duration) bool) time.Duration {
	value, given := v.take(name)
	if !given {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || !suits(d) {
		v.refuse(name, value, allowed)
		return 0
	}
	return d
}
