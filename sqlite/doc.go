// Package sqlite is the durable backend of a single node: snapshots in one table of
// a SQLite file, of the store's own or shared with the tables of an application.
//
// With the default options (WAL, synchronous FULL) a snapshot whose Save returned
// survives a crash of the process, of the system and the loss of power, as far as
// the disk keeps what it said it had written. With synchronous NORMAL the last
// saves before a loss of power may be missing; see
// https://sqlite.org/pragma.html#pragma_synchronous.
//
// # Table
//
// The table, whose name can be chosen, is
//
//	CREATE TABLE snapshots (pid TEXT NOT NULL, seq INTEGER NOT NULL,
//	    state BLOB NOT NULL, ts INTEGER NOT NULL, PRIMARY KEY (pid, seq))
//
// with one row a snapshot: pid the persistence id, seq the sequence number, state
// the state, ts the timestamp in Unix milliseconds. Files that other programs wrote
// with this schema open as they are. A state that one of them stored as TEXT is
// given as its bytes; one of any other storage class is store.ErrCorrupt, and so is
// a ts that is no integer. Rows that no snapshot can have are neither loaded, listed
// nor deleted: an id that is no text or no valid persistence id, a seq that is
// negative or no integer.
// There are no other tables and no triggers, so a file can be given to any program
// that knows SQLite.
//
// # Group commit
//
// A commit costs an fsync, whatever it holds. So the saves and deletes that wait
// at the same time share a transaction: the first caller leads, commits all that
// have gathered when it gets the write lock, and hands over to the first of those
// who came meanwhile. A caller who is alone commits alone, at once and in its own
// goroutine. Where one of them fails the others are committed each on its own.
//
// # Sharing
//
// Open opens a file for this store alone in this process; other stores and
// processes may have it open too. New works on an *sql.DB of the application, of
// any SQLite driver, for snapshots beside a journal in one file. Every write is a
// transaction that takes the write lock when it begins (BEGIN IMMEDIATE), so it
// waits for others up to BusyTimeout and never fails as one that reads first may.
//
// # Damage
//
// What SQLite notices of a damaged file is store.ErrCorrupt. It is named with the
// number of the snapshot where the primary key's index still has that, so that
// store.NewFallback finds the one before. SQLite has no checksums: other bytes within
// a state it gives as they are, and where entries of the index are damaged in a way
// that leaves its pages sound it may find an older snapshot, none, or that of another
// id. A wrapper that checks the stored state (compress, encrypt) makes the first an
// error; PRAGMA integrity_check, which compares the index with the table, finds the
// second.
//
// The dependency modernc.org/sqlite is SQLite translated to Go: no C compiler is
// needed to build a program that uses it. The tests alone use a second driver,
// github.com/ncruces/go-sqlite3, to hold New to "any driver of SQLite" and to cut the
// power beneath it.
package sqlite
