package sqlite

import "testing"

// TestSavesWaitForTheDisk reads back what the connection of all writes is set to:
// under WAL and synchronous FULL (2) SQLite has synced the WAL when a commit returns,
// as TestPowerLoss sees with another driver.
func TestSavesWaitForTheDisk(t *testing.T) {
	for want, opts := range map[string]Options{
		"wal 2":    {},
		"delete 2": {JournalMode: Delete},
		"wal 3":    {Synchronous: Extra},
		"wal 1":    {Synchronous: Normal},
	} {
		s := openTest(t, opts)
		var got string
		w, err := s.db.writer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = w.(*connection).conn.QueryRowContext(t.Context(), "SELECT journal_mode || ' ' || synchronous FROM pragma_journal_mode, pragma_synchronous").Scan(&got)
		w.release()
		if err != nil || got != want {
			t.Errorf("with %+v the connection for writes has %q, %v; want %q", opts, got, err, want)
		}
	}
}
