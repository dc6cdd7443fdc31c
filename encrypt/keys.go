package encrypt

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/snapstack/snapstack/store"
)

// A KeySource returns the master keys as text: one or more entries, separated by commas
// or lines, each a number from 1 to 4294967295, a colon and 32 random bytes in standard
// base64. New clears what it returns.
type KeySource func() ([]byte, error)

// File returns the KeySource of a file's content.
func File(path string) KeySource {
	return func() ([]byte, error) { return os.ReadFile(path) }
}

// Env returns the KeySource of an environment variable.
func Env(name string) KeySource {
	return func() ([]byte, error) {
		text, ok := os.LookupEnv(name)
		if !ok {
			return nil, fmt.Errorf("the environment variable %s is not set", name)
		}
		return []byte(text), nil
	}
}

// A secret is what HKDF has extracted from a master key and the context.
type secret [sha256.Size]byte

// A ring is the keys of a Store. It never changes.
type ring struct {
	secrets map[uint32]*secret
	active  uint32 // the highest number
}

// readKeys reads the keys of the source. Its errors hold nothing of them.
func readKeys(source KeySource, context string) (*ring, error) {
	text, err := source()
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer clear(text)
	r := &ring{secrets: make(map[uint32]*secret)}
	entry := 0
	for rest := text; len(rest) > 0; {
		one := rest
		if end := bytes.IndexAny(rest, ",\n"); end >= 0 {
			one, rest = rest[:end], rest[end+1:]
		} else {
			rest = nil
		}
		if one = bytes.TrimSpace(one); len(one) == 0 {
			continue
		}
		entry++
		if err := r.add(one, context); err != nil {
			return nil, fmt.Errorf("%w keys: entry %d: %w; allowed is a number from 1 to 4294967295, a colon and 32 bytes in base64", store.ErrInvalid, entry, err)
		}
	}
	if entry == 0 {
		return nil, fmt.Errorf("%w keys: none; at least one is needed", store.ErrInvalid)
	}
	return r, nil
}

func (r *ring) add(entry []byte, context string) error {
	before, after, ok := bytes.Cut(entry, []byte(":"))
	if !ok {
		return errors.New("no colon")
	}
	// Without the text, which may be a key that was put in the wrong place.
	number, err := strconv.ParseUint(string(bytes.TrimSpace(before)), 10, 32)
	if err != nil || number == 0 {
		return errors.New("no number ahead of the colon")
	}
	if r.secrets[uint32(number)] != nil {
		return fmt.Errorf("the number %d stands there twice", number)
	}
	after = bytes.TrimSpace(after)
	key := make([]byte, base64.StdEncoding.DecodedLen(len(after)))
	defer clear(key)
	n, err := base64.StdEncoding.Decode(key, after)
	if err != nil {
		return errors.New("no base64 behind the colon")
	}
	if n != 32 {
		return fmt.Errorf("%d bytes behind the colon", n)
	}
	extracted, err := hkdf.Extract(sha256.New, key[:n], []byte(context))
	if err != nil {
		return err
	}
	defer clear(extracted)
	r.secrets[uint32(number)] = (*secret)(bytes.Clone(extracted))
	r.active = max(r.active, uint32(number))
	return nil
}

// keyOf returns the key of the id for the mode. The caller clears it.
func (r *ring) keyOf(number uint32, mode Mode, id string) (*[32]byte, error) {
	secret := r.secrets[number]
	if secret == nil {
		return nil, fmt.Errorf("encrypt: the key of number %d is missing: %w", number, errors.ErrUnsupported)
	}
	key, err := hkdf.Expand(sha256.New, secret[:], "snapstack encrypt v1"+string([]byte{byte(mode)})+id, 32)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return (*[32]byte)(key), nil
}
