package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	modernc "modernc.org/sqlite"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// The baselines are what an application would write through database/sql, on the driver
// that the store uses too, with the same durability. Each is measured in turn with the
// store, a round of the one after a round of the other, and the benchmarks report the
// median of the rounds' ratios. A machine that is busy with something else spoils a
// round, not the comparison. What is aimed at:
//
//	LoadLatestToPrepared              ratio at most 0.85 to 4 KB, 0.90 above
//	LoneSaveToPrepared                ratio at most 1.0
//	LargeSaveToPrepared               mean-ratio at most 0.75
//	ConcurrentSaveToExec              speedup at least 4 (64 goroutines), 9 (256); commits/save at most 0.1
//	ConcurrentSaveToWriterSlowFsync   speedup at least 20 (64 goroutines)
//	ReadersAgainstWriter              p99-ratio at most 0.25, saves-ratio above 1

const insert = "INSERT OR REPLACE INTO snapshots (pid, seq, state, ts) VALUES (?, ?, ?, ?)"

// plainDB opens a file with the table, in WAL with synchronous FULL and SQLite's own
// defaults for the rest.
func plainDB(b *testing.B) *sql.DB {
	b.Helper()
	return namedDB(b, "plain.db")
}

func namedDB(b *testing.B, name string) *sql.DB {
	b.Helper()
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), name)+"?_busy_timeout=60000&_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := db.Exec(seedSchema); err != nil {
		b.Fatal(err)
	}
	return db
}

// oneConnection returns a prepared statement on the only connection of db.
func oneConnection(b *testing.B, db *sql.DB, statement string) *sql.Stmt {
	b.Helper()
	db.SetMaxOpenConns(1)
	stmt, err := db.Prepare(statement)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := stmt.Close(); err != nil {
			b.Error(err)
		}
	})
	return stmt
}

func benchStore(b *testing.B, name string, opts sqlite.Options) *sqlite.Store {
	b.Helper()
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), name), opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// inTurn runs the operations in rounds of n calls, one after the other, and reports
// the time of the store's call and the median of its ratio to the baseline's.
func inTurn(b *testing.B, perRound int, baseline, ours func(i int) error) {
	b.Helper()
	var ratios []float64
	var total time.Duration
	round := func(call func(int) error, from, n int) time.Duration {
		start := time.Now()
		for i := range n {
			if err := call(from + i); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start)
	}
	round(baseline, 0, perRound) // to warm up
	round(ours, 0, perRound)
	b.ResetTimer()
	for done := 0; done < b.N; done += perRound {
		n := min(perRound, b.N-done)
		theirs := round(baseline, done, n)
		mine := round(ours, done, n)
		total += mine
		ratios = append(ratios, float64(mine)/float64(theirs))
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/op")
	b.ReportMetric(median(ratios), "ratio")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

var sizes = []struct {
	name  string
	bytes int
}{{"256B", 256}, {"4KB", 4 << 10}, {"64KB", 64 << 10}, {"1MB", 1 << 20}}

// BenchmarkLoadLatestToPrepared compares LoadLatest with a prepared statement whose
// row is scanned, with a context that can end.
func BenchmarkLoadLatestToPrepared(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			const ids = 16
			state := make([]byte, size.bytes)
			db, s := plainDB(b), benchStore(b, "snapshots.db", sqlite.Options{})
			for i := range ids {
				if _, err := db.Exec(insert, fmt.Sprint("order-", i), 1, state, 1); err != nil {
					b.Fatal(err)
				}
				if err := s.Save(b.Context(), store.Snapshot{PersistenceID: fmt.Sprint("order-", i), SequenceNr: 1, State: state}); err != nil {
					b.Fatal(err)
				}
			}
			load := oneConnection(b, db, "SELECT seq, ts, state FROM snapshots WHERE pid = ? ORDER BY seq DESC LIMIT 1")
			for name, ctx := range map[string]context.Context{"Background": context.Background(), "Cancellable": b.Context()} {
				b.Run(name, func(b *testing.B) {
					inTurn(b, min(200, max(10, 1<<20/size.bytes)), func(i int) error {
						var seq, ts int64
						var state []byte
						return load.QueryRowContext(ctx, fmt.Sprint("order-", i%ids)).Scan(&seq, &ts, &state)
					}, func(i int) error {
						_, err := s.LoadLatest(ctx, fmt.Sprint("order-", i%ids))
						return err
					})
				})
			}
		})
	}
}

// BenchmarkLoneSaveToPrepared compares Save by one goroutine with a prepared INSERT
// on one connection.
func BenchmarkLoneSaveToPrepared(b *testing.B) {
	for _, size := range sizes[:3] {
		b.Run(size.name, func(b *testing.B) {
			const ids = 1000
			state := make([]byte, size.bytes)
			s := benchStore(b, "snapshots.db", sqlite.Options{})
			stmt := oneConnection(b, plainDB(b), insert)
			baseline := func(i int) error {
				_, err := stmt.ExecContext(b.Context(), fmt.Sprint("order-", i%ids), i, state, 1)
				return err
			}
			ours := func(i int) error {
				return s.Save(b.Context(), store.Snapshot{PersistenceID: fmt.Sprint("order-", i%ids), SequenceNr: uint64(i), State: state})
			}
			// Until the files of both WALs have the size that they keep: a commit that
			// makes one grow takes longer.
			for i := range 1500 {
				if err := errors.Join(baseline(i), ours(i)); err != nil {
					b.Fatal(err)
				}
			}
			inTurn(b, 100, baseline, ours)
		})
	}
}

// BenchmarkLargeSaveToPrepared compares Save of 1 MB, mean and p99, with a prepared INSERT over
// SQLite's own page size and checkpoints.
func BenchmarkLargeSaveToPrepared(b *testing.B) {
	const ids = 16
	state := make([]byte, 1<<20)
	s := benchStore(b, "snapshots.db", sqlite.Options{})
	stmt := oneConnection(b, plainDB(b), insert)
	var theirs, mine []time.Duration
	timed := func(times *[]time.Duration, call func(i int) error) func(i int) error {
		return func(i int) error {
			start := time.Now()
			err := call(i)
			*times = append(*times, time.Since(start))
			return err
		}
	}
	inTurn(b, 50, timed(&theirs, func(i int) error {
		_, err := stmt.ExecContext(b.Context(), fmt.Sprint("order-", i%ids), 1, state, 1)
		return err
	}), timed(&mine, func(i int) error {
		return s.Save(b.Context(), store.Snapshot{PersistenceID: fmt.Sprint("order-", i%ids), SequenceNr: 1, State: state})
	}))
	b.ReportMetric(mean(mine)/mean(theirs), "mean-ratio")
	b.ReportMetric(percentile(mine, 99)/percentile(theirs, 99), "p99-ratio")
	b.ReportMetric(mean(mine)/1e3, "mean-us")
	b.ReportMetric(mean(theirs)/1e3, "baseline-mean-us")
	b.ReportMetric(percentile(mine, 99)/1e3, "p99-us")
	b.ReportMetric(percentile(theirs, 99)/1e3, "baseline-p99-us")
}

func mean(times []time.Duration) float64 {
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	return float64(sum) / float64(len(times))
}

func percentile(times []time.Duration, p int) float64 {
	slices.Sort(times)
	return float64(times[len(times)*p/100])
}

// together makes n calls from so many goroutines, and returns how long they took.
func together(b *testing.B, goroutines, n int, call func(i int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range goroutines {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := call(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return time.Since(start)
}

// compareThroughput makes b.N calls of each from the goroutines, in rounds.
func compareThroughput(b *testing.B, s *sqlite.Store, baselineGoroutines, goroutines, baselineRound, round int, baseline, ours func(i int) error) {
	b.Helper()
	together(b, baselineGoroutines, baselineGoroutines, baseline) // to open all connections
	together(b, goroutines, goroutines, ours)
	before := s.Stats()
	var speedups []float64
	var total time.Duration
	b.ResetTimer()
	done := 0
	for ; done < b.N; done += round {
		theirs := float64(together(b, baselineGoroutines, baselineRound, baseline)) / float64(baselineRound)
		took := together(b, goroutines, round, ours)
		total += took
		speedups = append(speedups, theirs*float64(round)/float64(took))
	}
	after := s.Stats()
	b.ReportMetric(float64(total.Nanoseconds())/float64(done), "ns/op")
	b.ReportMetric(median(speedups), "speedup")
	b.ReportMetric(float64(after.Commits-before.Commits)/float64(after.Saves-before.Saves), "commits/save")
}

// BenchmarkConcurrentSaveToExec compares Saves of 4 KB by many goroutines with plain
// db.Exec by as many.
func BenchmarkConcurrentSaveToExec(b *testing.B) {
	for _, goroutines := range []int{64, 256} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			state := make([]byte, 4<<10)
			db, s := plainDB(b), benchStore(b, "snapshots.db", sqlite.Options{})
			compareThroughput(b, s, goroutines, goroutines, 2*goroutines, 8*goroutines, func(i int) error {
				_, err := db.Exec(insert, fmt.Sprint("order-", i%1000), 1, state, 1)
				return err
			}, func(i int) error {
				return s.Save(b.Context(), store.Snapshot{PersistenceID: fmt.Sprint("order-", i%1000), SequenceNr: 1, State: state})
			})
		})
	}
}

// slowFsync is in the name of the files whose commits take 1 ms more, as they do on
// a disk without a cache.
const slowFsync = "slow-fsync"

func init() {
	modernc.RegisterConnectionHook(func(conn modernc.ExecQuerierContext, name string) error {
		if strings.Contains(name, slowFsync) {
			conn.(modernc.HookRegisterer).RegisterCommitHook(func() int32 {
				time.Sleep(time.Millisecond)
				return 0
			})
		}
		return nil
	})
}

// BenchmarkConcurrentSaveToWriterSlowFsync compares Saves of 4 KB by many goroutines
// with one that has a prepared INSERT, on a disk that takes 1 ms for an fsync.
func BenchmarkConcurrentSaveToWriterSlowFsync(b *testing.B) {
	for _, goroutines := range []int{8, 64} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			state := make([]byte, 4<<10)
			s := benchStore(b, slowFsync+".db", sqlite.Options{})
			stmt := oneConnection(b, namedDB(b, slowFsync+"-plain.db"), insert)
			compareThroughput(b, s, 1, goroutines, 50, 20*goroutines, func(i int) error {
				_, err := stmt.ExecContext(b.Context(), fmt.Sprint("order-", i%1000), 1, state, 1)
				return err
			}, func(i int) error {
				return s.Save(b.Context(), store.Snapshot{PersistenceID: fmt.Sprint("order-", i%1000), SequenceNr: 1, State: state})
			})
		})
	}
}

// BenchmarkReadersAgainstWriter has 4 goroutines load while one saves 4 KB without
// pause, and compares with the same on an *sql.DB whose pool is as it comes. An
// operation is a window of 200 ms for each.
func BenchmarkReadersAgainstWriter(b *testing.B) {
	const ids = 100
	state := make([]byte, 4<<10)
	db, s := plainDB(b), benchStore(b, "snapshots.db", sqlite.Options{})
	const query = "SELECT seq, ts, state FROM snapshots WHERE pid = ? ORDER BY seq DESC LIMIT 1"
	window := func(load, save func(i int) error) (loads []time.Duration, saves int) {
		deadline := time.Now().Add(200 * time.Millisecond)
		var wg sync.WaitGroup
		each := make([][]time.Duration, 4)
		for r := range each {
			wg.Go(func() {
				for i := r; ; i++ {
					start := time.Now()
					if start.After(deadline) {
						return
					}
					if err := load(i % ids); err != nil {
						b.Error(err)
						return
					}
					each[r] = append(each[r], time.Since(start))
				}
			})
		}
		for ; time.Now().Before(deadline); saves++ {
			if err := save(saves % ids); err != nil {
				b.Error(err)
				break
			}
		}
		wg.Wait()
		if b.Failed() {
			b.FailNow()
		}
		return slices.Concat(each...), saves
	}
	var theirs, mine struct {
		loads []time.Duration
		saves int
	}
	for range b.N {
		theirLoads, theirSaves := window(func(i int) error {
			var seq, ts int64
			var state []byte
			err := db.QueryRowContext(b.Context(), query, fmt.Sprint("order-", i)).Scan(&seq, &ts, &state)
			if errors.Is(err, sql.ErrNoRows) {
				return nil // the writer has not come to it yet
			}
			return err
		}, func(i int) error {
			_, err := db.ExecContext(b.Context(), insert, fmt.Sprint("order-", i), 1, state, 1)
			return err
		})
		loads, saves := window(func(i int) error {
			_, err := s.LoadLatest(b.Context(), fmt.Sprint("order-", i))
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		}, func(i int) error {
			return s.Save(b.Context(), store.Snapshot{PersistenceID: fmt.Sprint("order-", i), SequenceNr: 1, State: state})
		})
		theirs.loads, theirs.saves = append(theirs.loads, theirLoads...), theirs.saves+theirSaves
		mine.loads, mine.saves = append(mine.loads, loads...), mine.saves+saves
	}
	b.ReportMetric(percentile(mine.loads, 99)/percentile(theirs.loads, 99), "p99-ratio")
	b.ReportMetric(percentile(mine.loads, 99)/1e3, "p99-us")
	b.ReportMetric(percentile(theirs.loads, 99)/1e3, "baseline-p99-us")
	b.ReportMetric(float64(mine.saves)/float64(theirs.saves), "saves-ratio")
	b.ReportMetric(float64(len(mine.loads))/float64(len(theirs.loads)), "loads-ratio")
}
