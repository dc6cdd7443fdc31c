// Command bank is an event-sourced bank account with its journal and its snapshots in one
// SQLite file, and a crash in the middle:
//
//	go run ./examples/bank
//
// It starts itself a second time as a process that makes deposits and prints each one that
// was acknowledged, kills that process with SIGKILL, recovers the accounts from the file,
// and compares them with what had been acknowledged.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver; package sqlite takes any

	"github.com/snapstack/snapstack/examples/account"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// every is the number of events between two snapshots of an account.
const every = 50

func main() {
	ctx := context.Background()
	var err error
	if len(os.Args) == 3 && os.Args[1] == "work" {
		err = work(ctx, os.Args[2], os.Stdout)
	} else {
		err = demonstrate(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}

// A file is a journal and its snapshots.
type file struct {
	db        *sql.DB
	journal   *account.Journal
	snapshots store.SnapshotStore
	bank      *account.Bank
}

// open opens the file, or creates it. Both tables are reached through one sql.DB, so they
// share its connections, and whatever the application sets on it. Synchronous FULL
// makes a commit, of an event or of a snapshot, survive a loss of power too.
func open(ctx context.Context, path string) (_ *file, err error) {
	f := &file{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if f.db, err = sql.Open("sqlite", path+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000"); err != nil {
		return f, err
	}
	if f.journal, err = account.OpenJournal(ctx, f.db); err != nil {
		return f, err
	}
	// Two of each account: should one turn out to be damaged, NewFallback finds the other.
	table, err := sqlite.New(ctx, f.db, sqlite.Options{Keep: 2})
	if err != nil {
		return f, err
	}
	if f.snapshots, err = store.NewFallback(table, store.FallbackOptions{}); err != nil {
		return f, errors.Join(err, table.Close())
	}
	f.bank = account.NewBank(f.journal, f.snapshots, store.EveryN(every))
	return f, nil
}

// Close closes the snapshots and then the database, which is not theirs to close.
func (f *file) Close() error {
	var errs []error
	if f.snapshots != nil {
		errs = append(errs, f.snapshots.Close())
	}
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	return errors.Join(errs...)
}

// accounts are the ids of the demonstration.
var accounts = []string{"account-ada", "account-bob", "account-eve"}

// amount is the deposit that the nth event of an account is, in cents: not the same each
// time, so that a lost, doubled or foreign event shows in the balance.
func amount(account int, n int64) int64 { return n*int64(len(accounts)) + int64(account) + 1 }

// balance is what n deposits add up to.
func balance(account int, n int64) int64 {
	return n*(n+1)/2*int64(len(accounts)) + n*int64(account+1)
}

// work makes deposits, account after account, until it is killed. A line "account n" goes
// to acknowledged when the nth deposit has returned, and not before.
func work(ctx context.Context, path string, acknowledged io.Writer) error {
	f, err := open(ctx, path)
	if err != nil {
		return err
	}
	f.bank.OnSnapshotError = func(err error) { fmt.Fprintln(os.Stderr, "bank:", err) }
	var awake []*account.Account
	for _, id := range accounts {
		a, err := f.bank.Wake(ctx, id)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		awake = append(awake, a)
	}
	for {
		for i, a := range awake {
			n := a.State.Events + 1
			if err := a.Deposit(ctx, amount(i, n)); err != nil {
				return errors.Join(err, f.Close())
			}
			if _, err := fmt.Fprintln(acknowledged, i, n); err != nil {
				return errors.Join(err, f.Close())
			}
		}
	}
}

// demonstrate crashes a bank and recovers it, a few times on the same file.
func demonstrate(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bank-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "bank.db")
	acknowledged := make([]int64, len(accounts))
	for range 3 {
		if err := crash(ctx, path, 400, acknowledged); err != nil {
			return err
		}
		if err := recovered(ctx, path, acknowledged, out); err != nil {
			return err
		}
	}
	return nil
}

// crash starts a process that works on the file, kills it after the number of
// acknowledged deposits, and writes down the last one of each account.
func crash(ctx context.Context, path string, deposits int, acknowledged []int64) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	worker := exec.CommandContext(ctx, self, "work", path)
	worker.Stderr = os.Stderr
	out, err := worker.StdoutPipe()
	if err != nil {
		return err
	}
	if err := worker.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	killed := false
	for seen := 0; lines.Scan(); seen++ {
		var i int
		var n int64
		// The last line may have been cut by the kill: what was not printed whole was
		// not acknowledged.
		if _, err := fmt.Sscanf(lines.Text()+"\n", "%d %d\n", &i, &n); err != nil {
			break
		}
		acknowledged[i] = n
		if seen == deposits {
			if err := worker.Process.Kill(); err != nil { // SIGKILL
				return err
			}
			killed = true
		}
	}
	if err := worker.Wait(); !killed { // the error of a killed process says no more than that
		return fmt.Errorf("the worker ended by itself: %w", errors.Join(err, lines.Err()))
	}
	return nil
}

// recovered wakes every account and compares it with what was acknowledged.
func recovered(ctx context.Context, path string, acknowledged []int64, out io.Writer) (err error) {
	f, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for i, id := range accounts {
		a, err := f.bank.Wake(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %d events acknowledged, %d recovered, %d of them replayed: balance %d.%02d\n",
			id, acknowledged[i], a.State.Events, a.Replayed, a.State.Balance/100, a.State.Balance%100)
		// One event more than was acknowledged may be there: that which was committed
		// when the kill came, and not yet printed.
		if n := a.State.Events; n < acknowledged[i] || n > acknowledged[i]+1 {
			return fmt.Errorf("%s has %d events; %d were acknowledged", id, n, acknowledged[i])
		}
		if want := balance(i, a.State.Events); a.State.Balance != want {
			return fmt.Errorf("%s has a balance of %d; its events add up to %d", id, a.State.Balance, want)
		}
		if a.Replayed > every {
			return fmt.Errorf("%s replayed %d events; a snapshot is due every %d", id, a.Replayed, every)
		}
	}
	return nil
}
