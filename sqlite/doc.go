// Package sqlite is the durable backend of a single node: snapshots in one table of
// a SQLite file, of the store's own or shared with the tables of an application.
//
// # Durability
//
// With the default options (WAL, synchronous FULL) a snapshot whose Save returned
// survives a crash of the process, of the system and the loss of power, as far as
// the disk keeps what it said it had written. So it does with the other journal
// modes and FULL or EXTRA; in those, EXTRA also waits for the folder.
//
// With synchronous NORMAL a crash of the process loses nothing, but the last saves
// before a crash of the system or a loss of power may be missing in WAL, and in the
// other modes there is a small chance that the file is damaged. With OFF such a crash
// can damage the file in any mode. See https://sqlite.org/pragma.html#pragma_synchronous.
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
// that knows SQLite. New files have pages of 8192 bytes (Options.PageSize).
//
// # Group commit
//
// A commit costs an fsync, whatever it holds. So the saves and deletes that wait
// at the same time share a transaction: the first caller leads, commits all that
// have gathered when it gets the write lock, and hands over to the first of those
// who came meanwhile. A caller who is alone commits alone, at once and in its own
// goroutine. Where one of them fails the others are committed each on its own.
//
// # Checkpoints
//
// In WAL, what is saved stands in a second file, the WAL, until a checkpoint moves it
// to the file (https://sqlite.org/wal.html). SQLite would do that within the save that
// makes the WAL grow over a limit. A Store from Open does it in a goroutine, after
// every Options.CheckpointBytes that it saved, beside readers and the writer. Where
// that left the WAL at twice that size or more, because saves came without a pause, the
// goroutine has them wait for a moment while it moves the rest. Should it not get
// that far, because another process reads for long or the disk fails, SQLite helps
// itself from four times that size on. What is lost when a checkpoint fails is nothing:
// the WAL is as durable as the file, and grows until a checkpoint succeeds. Store.Stats
// counts those that failed.
//
// Close makes a last one. The WAL and its index (the extensions -wal and -shm) are gone
// then, unless another connection has the file open. Who copies a file that is open
// must use Backup, or take the WAL along.
//
// # Sharing
//
// Open opens a file for this store alone in this process; other stores and
// processes may have it open too. New works on an *sql.DB of the application, of
// any SQLite driver, for snapshots beside a journal in one file: then the journal mode,
// synchronous, the page size and checkpoints are the application's. Every write is a
// transaction that takes the write lock when it begins (BEGIN IMMEDIATE), so it
// waits for others up to BusyTimeout and never fails as one that reads first may.
// In WAL readers wait for nobody; in the other modes they wait as long as somebody
// commits. A file must not be shared over a network.
//
// # Damage
//
// What SQLite notices of a damaged file is store.ErrCorrupt. It is named with the
// number of the snapshot where the primary key's index still has that, so that
// store.NewFallback finds the one before. The row of a load is compared with the key
// that the index found it by, so that no id is given the state of another. SQLite has no
// checksums, though: other bytes within a state it gives as they are, and where keys in
// the index were altered in a way that leaves its pages sound it may find an older
// snapshot, or none. A wrapper that checks the stored state makes the first an error:
// compress, and encrypt, which binds it to its id as well. Check compares the index with
// the table, and finds the second.
//
// # The driver
//
// The dependency modernc.org/sqlite is SQLite translated to Go: no C compiler is
// needed to build a program that uses it. A Store from Open keeps its connections, one
// to write and GOMAXPROCS less one to read, but at least one, and uses the statements of
// the driver on them (database/sql.Conn.Raw): that takes up to half of the time off a
// load, the most with a context that can end, and one copy of the state. The price is that it relies on the driver to give each row memory
// of its own, which package driver asks of it and a test looks at, and that a load
// that SQLite is at does not see its context end; only waiting for a lock or a
// connection does. A Store from New goes through database/sql, and pays for it. To
// call the translated library by hand would be faster still for small states, but it
// is not made for it: the race detector's checks of pointers fail in it.
//
// The tests alone use a second driver, github.com/ncruces/go-sqlite3, to hold New to
// "any driver of SQLite" and to cut the power beneath it.
package sqlite
