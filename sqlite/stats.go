package sqlite

import (
	"encoding/json"
	"os"
	"sync"
)

// Stats is what a Store did since it was opened, at one moment.
type Stats struct {
	Saves   uint64 // that were committed
	Deletes uint64 // that were committed, also those that removed nothing

	// Commits is how many transactions held those Saves and Deletes; MeanBatch says
	// how many each held, MaxBatch how many one held at most.
	Commits  uint64
	MaxBatch int

	// PruneErrors is how many Saves did not remove what Keep lets go: what
	// Options.OnPruneError is told.
	PruneErrors uint64

	// Checkpoints is how many moves from the WAL to the file this Store made in the
	// background and succeeded with, CheckpointErrors how many failed, and
	// CheckpointError why the last one did, or nil where it did not. A checkpoint
	// that fails loses nothing; the WAL grows until one succeeds.
	Checkpoints      uint64
	CheckpointErrors uint64
	CheckpointError  error

	// WALBytes is the size of the file of the WAL, which is written from its
	// beginning again after a checkpoint and does not shrink then. It is 0 where
	// there is none, and on a shared database.
	WALBytes int64
}

// MeanBatch returns how many Saves and Deletes a commit held on average, or 0 where
// there was none.
func (s Stats) MeanBatch() float64 {
	if s.Commits == 0 {
		return 0
	}
	return float64(s.Saves+s.Deletes) / float64(s.Commits)
}

// MarshalJSON implements json.Marshaler: the fields under their names, CheckpointError as
// its text, which is empty where it is nil.
func (s Stats) MarshalJSON() ([]byte, error) {
	type fields Stats // without this method
	text := ""
	if s.CheckpointError != nil {
		text = s.CheckpointError.Error()
	}
	return json.Marshal(struct {
		fields
		CheckpointError string // in place of the field's own
	}{fields(s), text})
}

// Stats returns the statistics. A call that has returned is in them. It can be
// called at any time, also after Close.
func (s *Store) Stats() Stats {
	stats := s.counters.snapshot()
	if s.walPath != "" {
		// A file that is not there, or can't be looked at, counts as none.
		if info, err := os.Stat(s.walPath); err == nil {
			stats.WALBytes = info.Size()
		}
	}
	return stats
}

// counters are the statistics that are kept.
type counters struct {
	mu    sync.Mutex
	stats Stats
}

func (c *counters) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// committed counts a transaction that held the batch.
func (c *counters) committed(batch []*write) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Commits++
	c.stats.MaxBatch = max(c.stats.MaxBatch, len(batch))
	for _, w := range batch {
		if w.saves {
			c.stats.Saves++
		} else {
			c.stats.Deletes++
		}
		if w.pruneErr != nil {
			c.stats.PruneErrors++
		}
	}
}

func (c *counters) checkpointed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.CheckpointError = err
	if err != nil {
		c.stats.CheckpointErrors++
	} else {
		c.stats.Checkpoints++
	}
}
