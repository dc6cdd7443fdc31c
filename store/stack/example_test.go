package stack_test

import (
	"context"
	"expvar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// compose is the example of the README, to the letter.
func compose(ctx context.Context, path string, state []byte) error {
	db, err := sqlite.Open(ctx, path, sqlite.Options{Keep: 3})
	if err != nil {
		return err
	}
	compressed, err := compress.New(db, compress.Options{})
	if err != nil {
		return err
	}
	snapshots, err := cache.New(cache.NewSingleflight(compressed), cache.Options{MaxBytes: 64 << 20})
	if err != nil {
		return err
	}
	defer snapshots.Close() // and every layer beneath

	err = snapshots.Save(ctx, store.Snapshot{PersistenceID: "order-42", SequenceNr: 7, State: state})
	if err != nil {
		return err
	}
	latest, err := snapshots.LoadLatest(ctx, "order-42")
	if err != nil {
		return err
	}
	fmt.Printf("%s at %d: %s\n", latest.PersistenceID, latest.SequenceNr, latest.State)
	return nil
}

// A stack in application code: the options of every layer are Go values.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := compose(context.Background(), filepath.Join(dir, "snapshots.db"), []byte("paid")); err != nil {
		fmt.Println(err)
	}
	// Output: order-42 at 7: paid
}

// The same stack from a line of configuration.
func ExampleOpen() {
	ctx := context.Background()
	snapshots, err := stack.Open(ctx, "cache(size=64MiB) | singleflight | zstd | memory(keep=3)")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close()

	_, err = snapshots.LoadLatest(ctx, "order-42")
	fmt.Println(err)
	// Output: load latest "order-42": snapshot not found
}

// What every layer has done, at /debug/vars of the program's HTTP server.
func ExampleStats() {
	ctx := context.Background()
	snapshots, err := stack.Open(ctx, "cache | singleflight | memory")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close()

	stats := expvar.Func(func() any { return stack.Stats(snapshots) })
	if expvar.Get("snapshots") == nil { // a name can be published once in a process
		expvar.Publish("snapshots", stats)
	}

	for range 3 {
		_, err = snapshots.LoadLatest(ctx, "order-42")
		fmt.Println(err)
	}
	fmt.Println(stats)
	// Output:
	// load latest "order-42": snapshot not found
	// load latest "order-42": snapshot not found
	// load latest "order-42": snapshot not found
	// [{"layer":"cache","stats":{"Hits":0,"NegativeHits":0,"Misses":3,"StaleFills":0,"Evictions":0,"Entries":0,"Bytes":0,"MaxBytes":67108864}},{"layer":"singleflight","stats":{"Flights":3,"Shared":0}},{"layer":"memory"}]
}

func TestREADMEShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```go\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("README.md has no block of Go")
	}
	for line := range strings.Lines(block) {
		if code := strings.TrimSpace(line); !strings.Contains(string(source), code) {
			t.Errorf("README.md shows a line that the example does not have: %s", code)
		}
	}
}
