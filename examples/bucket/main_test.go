package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const demonstrated = `second node: snapshot from the bucket, 5 events replayed: balance 25.00
second node: snapshot from the cache, 30 events replayed: balance 50.00
second node: snapshot from the bucket, 0 events replayed: balance 50.00
`

func TestDemonstration(t *testing.T) {
	urls := map[string]string{
		"Default":   "",
		"Directory": "file://" + filepath.ToSlash(filepath.Join(t.TempDir(), "a bucket")),
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := demonstrate(t.Context(), url, &out); err != nil {
				t.Fatal(err)
			}
			if out.String() != demonstrated {
				t.Errorf("it printed\n%s; want\n%s", out.String(), demonstrated)
			}
		})
	}
}

func TestWrongURLIsRefused(t *testing.T) {
	if err := demonstrate(t.Context(), "ftp://bucket", &bytes.Buffer{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("demonstrate: %v; want ErrInvalid", err)
	}
}
