// Command bucket is the bank of examples/bank with its snapshots in a bucket, shared
// between nodes, each with a cache of its own:
//
//	go run ./examples/bucket
//	go run ./examples/bucket -url 's3://my-bucket?region=eu-central-1'
//
// Without -url the bucket is a directory that is removed afterwards. Credentials for S3
// come from the AWS environment; what the example stores there, under the prefix
// "snapstack-example/", it deletes again.
//
// The journal stays in a SQLite file, so that the example needs nothing else. In a cluster
// it would be a server that all nodes reach.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	_ "modernc.org/sqlite" // the journal's driver

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/examples/account"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

func main() {
	url := flag.String("url", "", "bucket for the snapshots, as s3://name?region=... or file:///directory; empty is a directory for this run")
	flag.Parse()
	if err := demonstrate(context.Background(), *url, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bucket:", err)
		os.Exit(1)
	}
}

// layers is the stack of a node. Hits come from the cache; a storm of misses for one id
// is one load; a state is small on the wire; and a snapshot that was damaged in the bucket
// gives way to the one before.
func layers(url string) string {
	return `cache(size=16MiB,ttl=1m) | singleflight | fallback | zstd | objectstore(prefix=snapstack-example/,keep=2,url=` + strconv.Quote(url) + ")"
}

// A node is a process of the cluster: its stack of snapshots, and the bank on it.
type node struct {
	snapshots store.SnapshotStore
	bank      *account.Bank
}

func join(ctx context.Context, url string, journal *account.Journal) (*node, error) {
	snapshots, err := stack.Open(ctx, layers(url))
	if err != nil {
		return nil, err
	}
	return &node{snapshots: snapshots, bank: account.NewBank(journal, snapshots, store.EveryN(10))}, nil
}

// wake wakes an account on the node, and says what it took.
func (n *node) wake(ctx context.Context, out io.Writer, name, id string) (*account.Account, error) {
	before := n.hits()
	a, err := n.bank.Wake(ctx, id)
	if err != nil {
		return nil, err
	}
	from := "the bucket"
	if n.hits() > before {
		from = "the cache"
	}
	fmt.Fprintf(out, "%s: snapshot from %s, %d events replayed: balance %d.%02d\n", name, from, a.Replayed, a.State.Balance/100, a.State.Balance%100)
	return a, nil
}

// hits returns how many loads the node's cache has answered.
func (n *node) hits() int64 {
	c, ok := store.As[*cache.Cache](n.snapshots)
	if !ok {
		return 0
	}
	return c.Stats().Hits
}

// demonstrate moves an account between two nodes. A url that is empty stands for a
// directory, as the package's comment says.
func demonstrate(ctx context.Context, url string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bucket-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if url == "" {
		url = "file://" + filepath.ToSlash(filepath.Join(dir, "bucket"))
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "journal.db")+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	journal, err := account.OpenJournal(ctx, db)
	if err != nil {
		return err
	}
	first, err := join(ctx, url, journal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, first.snapshots.Close()) }()
	second, err := join(ctx, url, journal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.snapshots.Close()) }()

	const id = "account-ada"
	// What an interrupted run left would be taken for snapshots of this journal.
	if err := first.snapshots.Delete(ctx, id, math.MaxUint64); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, first.snapshots.Delete(ctx, id, math.MaxUint64)) }()

	// The account lives on the first node: a snapshot each 10 deposits.
	a, err := first.bank.Wake(ctx, id)
	if err != nil {
		return err
	}
	if err := deposit(ctx, a, 25); err != nil {
		return err
	}
	// Then it moves. The second node has never seen it, and reads what the first saved.
	if _, err := second.wake(ctx, out, "second node", id); err != nil {
		return err
	}
	// Meanwhile the first goes on, and saves again.
	if err := deposit(ctx, a, 25); err != nil {
		return err
	}
	// The second node's cache does not know. Up to its ttl it gives the older snapshot,
	// from which more events are replayed: the balance is right all the same, since what
	// happened stands in the journal.
	if _, err := second.wake(ctx, out, "second node", id); err != nil {
		return err
	}
	// Where that matters, whoever moves the account tells the node.
	if c, ok := store.As[*cache.Cache](second.snapshots); ok {
		c.Invalidate(id)
	}
	_, err = second.wake(ctx, out, "second node", id)
	return err
}

// deposit makes deposits of a euro each.
func deposit(ctx context.Context, a *account.Account, n int) error {
	for range n {
		if err := a.Deposit(ctx, 100); err != nil {
			return err
		}
	}
	return nil
}
