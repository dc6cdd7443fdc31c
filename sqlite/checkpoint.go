package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// defaultCheckpointBytes was measured: 1 MiB takes up to 15 % more processor time
	// for a save, more than 4 MiB saves nothing, and states are read 1.3 times as fast
	// from the file as from the WAL.
	defaultCheckpointBytes = 4 << 20

	// The WAL that has grown to so many times CheckpointBytes is checkpointed by
	// SQLite itself within a save, whatever became of the checkpointer.
	ownCheckpoint = 4

	// passes is how often a checkpoint runs beside the writer before it takes its
	// place for what remains, and restarts how often it then looks, every
	// restartPoll, whether the readers have left the WAL.
	passes      = 3
	restarts    = 5
	restartPoll = time.Millisecond
)

// A checkpointer moves what was saved from the WAL to the file, off the path of
// those who save. SQLite would do so within the save that makes the WAL grow over a
// limit, which then takes many times as long as the others.
type checkpointer struct {
	conn    *connection
	writers chan *connection
	stats   *counters

	limit    int64 // CheckpointBytes
	pageSize int64

	grown atomic.Int64  // bytes, about, since a checkpoint began
	wake  chan struct{} // has one where a checkpoint is due
	stop  context.CancelFunc
	done  chan struct{}
}

// newCheckpointer starts the goroutine, with a connection of its own.
func newCheckpointer(ctx context.Context, d *owned, limit int64, stats *counters) (*checkpointer, error) {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &checkpointer{
		conn:    newConnection(conn, nil),
		writers: d.writers,
		stats:   stats,
		limit:   limit,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	if err := c.configure(); err != nil {
		return nil, errors.Join(err, c.conn.close())
	}
	running, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.run(running)
	return c, nil
}

// configure raises the limit at which SQLite makes a save pay.
func (c *checkpointer) configure() error {
	writer := <-c.writers
	defer writer.release()
	size, err := writer.queryRow(1, "SELECT page_size FROM pragma_page_size")
	if err != nil {
		return err
	}
	var ok bool
	if c.pageSize, ok = size[0].(int64); !ok || c.pageSize <= 0 {
		return fmt.Errorf("the page size is %v", size[0])
	}
	for _, setting := range []string{
		fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", ownCheckpoint*c.limit/c.pageSize),
		fmt.Sprintf("PRAGMA journal_size_limit = %d", ownCheckpoint*c.limit),
	} {
		if err := writer.exec(context.Background(), setting); err != nil {
			return err
		}
	}
	return nil
}

// wrote tells of a commit that wrote so many bytes in so many rows.
func (c *checkpointer) wrote(bytes int64, rows int) {
	// A row changes a page of the index and one of the table beside those that its
	// state fills. What SQLite really wrote is not to be had without asking it.
	if c.grown.Add(bytes+2*c.pageSize*int64(rows)) < c.limit {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default: // it is due already
	}
}

// close ends the goroutine and moves what is left. Where that fails nothing is lost:
// who opens the file next finds the WAL.
func (c *checkpointer) close() error {
	c.stop()
	<-c.done
	err := c.checkpoint(context.Background())
	return errors.Join(err, c.conn.close())
}

func (c *checkpointer) run(ctx context.Context) {
	defer close(c.done)
	for {
		select {
		case <-c.wake:
			c.grown.Store(0)
			// Its error is in the statistics, and the next one tries again.
			_ = c.checkpoint(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// checkpoint moves what stands in the WAL to the file. Where saves kept coming it
// makes them wait while it moves the last of it.
func (c *checkpointer) checkpoint(ctx context.Context) error {
	err := c.move(ctx)
	c.stats.checkpointed(err)
	return err
}

func (c *checkpointer) move(ctx context.Context) error {
	// Beside readers and the writer.
	var left wal
	for range passes {
		var err error
		if left, err = walCheckpoint(c.conn, "PASSIVE"); err != nil {
			return err
		}
		if (left.frames-left.moved)*c.pageSize < c.limit/8 {
			break
		}
	}
	// The writer begins the WAL anew when all of it was moved and no reader is left
	// in it. While it writes without a pause there is always a rest: then the WAL
	// would grow for ever.
	if left.frames*c.pageSize < 2*c.limit {
		return nil
	}
	writer, err := take(ctx, c.writers)
	if err != nil {
		return nil // the store is closed, which comes here once more
	}
	defer writer.release()
	for range restarts {
		left, err = walCheckpoint(writer, "RESTART")
		if err != nil || !left.busy {
			return err
		}
		// Our own readers are gone in a moment. Others may stay for long, and the
		// next checkpoint tries again.
		timer := time.NewTimer(restartPoll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
	return nil
}

// A wal says how far a checkpoint came.
type wal struct {
	busy          bool // somebody was in the way
	frames, moved int64
}

// walCheckpoint runs a checkpoint: see https://sqlite.org/pragma.html#pragma_wal_checkpoint.
func walCheckpoint(c *connection, mode string) (wal, error) {
	row, err := c.queryRow(3, "PRAGMA wal_checkpoint("+mode+")")
	if isBusy(err) {
		return wal{busy: true}, nil
	}
	if err != nil {
		return wal{}, fmt.Errorf("checkpoint: %w", err)
	}
	number := func(value driver.Value) int64 {
		n, _ := value.(int64) // of a type that SQLite documents
		return n
	}
	return wal{busy: number(row[0]) != 0, frames: number(row[1]), moved: number(row[2])}, nil
}
