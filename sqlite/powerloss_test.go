package sqlite_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver" // the driver "sqlite3", whose file system layer can be replaced
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/snapstack/snapstack/sqlite"
)

// TestPowerLoss cuts the power while a store saves to a disk that forgets what was
// not synced: some of it, any part. On what is left every acknowledged snapshot must
// be there, and nothing half. It is the same plan and model as in TestCrash.
//
// SQLite writes to that disk through another driver than that of Open. What is the
// store's own share is the same: Save returns after COMMIT does.
func TestPowerLoss(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	rounds := 6
	if os.Getenv(soak) == "1" {
		rounds = 200
	}
	for round := range rounds {
		if err := cutPower(t, "full", random.Uint64()); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
	// That the disk does forget: without syncs something must be missing.
	for round := 0; cutPower(t, "off", random.Uint64()) == nil; round++ {
		if round == 20 {
			t.Fatal("nothing was lost of what was not synced: the disk does not forget")
		}
	}
}

// cutPower saves until the power is cut, and says what is wrong with what is left.
func cutPower(t *testing.T, synchronous string, seed uint64) error {
	t.Helper()
	const keep = 2
	random := rand.New(rand.NewPCG(seed, 1))
	disk := &forgetfulDisk{inner: vfs.Find(""), files: map[string]*forgetfulFile{}}
	name := fmt.Sprintf("forgetful-%d", seed)
	vfs.Register(name, disk)
	defer vfs.Unregister(name)
	path := filepath.Join(t.TempDir(), "snapshots.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?"+url.Values{
		"vfs":     {name},
		"_pragma": {"busy_timeout(30000)", "journal_mode(wal)", "wal_autocheckpoint(50)", "synchronous(" + synchronous + ")"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := sqlite.New(t.Context(), db, sqlite.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}

	var acknowledged [crashWriters]atomic.Int64
	counts := func() (n [crashWriters]int) {
		for writer := range n {
			n[writer] = int(acknowledged[writer].Load())
		}
		return n
	}
	var over atomic.Bool
	var total atomic.Int64
	cutAt := random.Int64N(80) + 1
	reached := make(chan struct{})
	var wg sync.WaitGroup
	for writer := range crashWriters {
		plan := newCrashPlan(seed, 0, 0, writer)
		wg.Go(func() {
			for !over.Load() {
				if err := plan.next().do(t.Context(), s); err != nil {
					t.Error(err)
					return
				}
				acknowledged[writer].Add(1)
				if total.Add(1) == cutAt {
					close(reached)
				}
			}
		})
	}
	<-reached
	atLeast := counts()
	left := disk.cut(random)
	atMost := counts()
	over.Store(true)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	folder := t.TempDir()
	for file, data := range left {
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	after, err := sqlite.Open(t.Context(), filepath.Join(folder, "snapshots.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}()
	found, err := readAll(t.Context(), after)
	if err != nil {
		return err
	}
	for writer := range crashWriters {
		plan, expected, actual := newCrashPlan(seed, 0, 0, writer), crashModel{}, crashModel{}
		for _, id := range plan.ids {
			if found[id] != nil {
				actual[id] = found[id]
			}
		}
		// One more than was acknowledged may have been under way.
		matches := false
		for done := 0; done <= atMost[writer]+1 && !matches; done++ {
			matches = done >= atLeast[writer] && actual.equal(expected)
			expected.apply(plan.next(), keep)
		}
		if !matches {
			return fmt.Errorf("writer %d had %d to %d operations acknowledged, and left is what comes of none of these numbers:\n%v", writer, atLeast[writer], atMost[writer], actual)
		}
	}
	return nil
}

// A forgetfulDisk is a file system that knows what of each file was synced.
type forgetfulDisk struct {
	inner vfs.VFS

	mu    sync.Mutex
	files map[string]*forgetfulFile // by path
}

// A forgetfulFile is one that the disk keeps track of.
type forgetfulFile struct {
	synced  []byte
	changes []change // since then, in their order
}

// A change is a write, or a truncation where data is nil.
type change struct {
	at   int64
	data []byte
}

func (c change) apply(to []byte) []byte {
	if c.data == nil {
		return to[:min(c.at, int64(len(to)))]
	}
	if missing := c.at + int64(len(c.data)) - int64(len(to)); missing > 0 {
		to = append(to, make([]byte, missing)...)
	}
	copy(to[c.at:], c.data)
	return to
}

// cut returns the files as they are when the power comes back: what was synced, and
// any of the changes after it, of which a disk writes each sector or doesn't.
func (d *forgetfulDisk) cut(random *rand.Rand) map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	const sector = 512
	left := map[string][]byte{}
	for path, file := range d.files {
		data := bytes.Clone(file.synced)
		lucky := random.Float64() // how much of it the disk had time for
		for _, c := range file.changes {
			if c.data == nil {
				if random.Float64() < lucky {
					data = c.apply(data)
				}
				continue
			}
			for from := 0; from < len(c.data); from += sector {
				if random.Float64() < lucky {
					data = change{c.at + int64(from), c.data[from:min(from+sector, len(c.data))]}.apply(data)
				}
			}
		}
		left[path] = data
	}
	return left
}

func (d *forgetfulDisk) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpen(d.inner, name, flags)
	return d.track(name, file, flags, err)
}

func (d *forgetfulDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(d.inner, name, flags)
	return d.track(name.String(), file, flags, err)
}

// track has the files of the database tracked, as opposed to temporary ones.
func (d *forgetfulDisk) track(name string, file vfs.File, flags vfs.OpenFlag, err error) (vfs.File, vfs.OpenFlag, error) {
	if err != nil || flags&(vfs.OPEN_MAIN_DB|vfs.OPEN_WAL) == 0 {
		return file, flags, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[name] == nil {
		d.files[name] = &forgetfulFile{}
	}
	return &openForgetful{File: file, disk: d, of: d.files[name]}, flags, nil
}

func (d *forgetfulDisk) Delete(name string, syncDir bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
	return d.inner.Delete(name, syncDir)
}

func (d *forgetfulDisk) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return d.inner.Access(name, flags)
}

func (d *forgetfulDisk) FullPathname(name string) (string, error) { return d.inner.FullPathname(name) }

// An openForgetful is an open file of the disk.
type openForgetful struct {
	vfs.File // reads and locks are its own
	disk     *forgetfulDisk
	of       *forgetfulFile
}

func (f *openForgetful) WriteAt(data []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.of.changes = append(f.of.changes, change{at, bytes.Clone(data)})
	return f.File.WriteAt(data, at)
}

func (f *openForgetful) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.of.changes = append(f.of.changes, change{at: size})
	return f.File.Truncate(size)
}

func (f *openForgetful) Sync(vfs.SyncFlag) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	for _, c := range f.of.changes {
		f.of.synced = c.apply(f.of.synced)
	}
	f.of.changes = nil
	return nil
}

// SharedMemory implements vfs.FileSharedMemory, which WAL needs.
func (f *openForgetful) SharedMemory() vfs.SharedMemory {
	if shared, ok := f.File.(vfs.FileSharedMemory); ok {
		return shared.SharedMemory()
	}
	return nil
}
