package objectstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/snapstack/snapstack/store"
)

// DirectoryOptions configures a Directory. The zero value is what most need.
type DirectoryOptions struct {
	// Now tells how old a file is that a crash may have left behind, how long a folder
	// has stayed the same, and the modification times of files; nil means time.Now.
	Now func() time.Time
}

// Directory is a Bucket in a directory of the file system: the object at a key is
// the file at that path. It is safe to use for several processes at a time.
//
// When Put returns nil the object is durable: written to a temporary file beside
// its place, synchronised, renamed, and the folder synchronised, as are those that
// had to be created. On Windows, where folders can't be, renaming is all there is.
// What a Delete that returns nil has removed stays removed, also after a crash. A
// folder goes with its last object.
//
// A temporary file is named "~" and 16 hexadecimal digits, which no key is. What a
// crash left of it is never listed, and removed by the next OpenDirectory once it
// is an hour old: a Put that another process is making is younger. One that stood
// still for longer than that fails, and leaves what was there.
//
// Whatever is no regular file, or has a path that is no key, is ignored. Nothing is
// read or written outside of the directory: a symbolic link in the place of a folder
// is an error if it leads out, and is otherwise followed, but not by a listing that
// begins above it. A file operation of the system can't be interrupted, so a call
// whose context ends returns after the one at hand.
//
// The names in a folder of nine or more are remembered, up to 100,000 in all, while its
// modification time stays the same; they are read again after every change. The latest
// of 5,000 objects is so found as fast as the only one, but for the first time and the
// tenth of a second after a change: then some 3 ms are spent on reading 5,000 names,
// where the only one takes 50 us. [Options] has a Keep to bound how many there are.
//
// The tag of an object is the modification time, which Put makes unique, and the
// size. Where a file system keeps time in seconds, two bodies of the same size that
// were put at one key within a second can't be told apart, nor can a folder that
// another process changed while it was read.
type Directory struct {
	path  string // absolute
	root  *os.Root
	now   func() time.Time
	fsync func(*os.File) error // (*os.File).Sync, but for tests

	lastTime atomic.Int64 // modification time of the last file put, in Unix nanoseconds

	// folders are locks of folders, shared by hash. Within the process, changes to
	// the names in a folder happen under its lock and listing them under a shared
	// one: a listing is then one moment, and does not miss a file because of others
	// that come and go while it reads.
	folders [64]sync.RWMutex
	seed    maphash.Seed

	durable folderSet // those that are known to be durable in their parents
	indexes folderIndexes
}

var _ Creator = (*Directory)(nil)

// OpenDirectory opens the directory at name, which it creates if only the last
// element of the path is missing. It reads every folder once, to remove what
// crashes left behind. A name that can't be a directory is store.ErrInvalid.
func OpenDirectory(ctx context.Context, name string, opts DirectoryOptions) (*Directory, error) {
	d, err := openDirectory(ctx, name, opts, (*os.File).Sync)
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("objectstore: %w", err))
	}
	return d, nil
}

func openDirectory(ctx context.Context, name string, opts DirectoryOptions, fsync func(*os.File) error) (*Directory, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if name == "" {
		return nil, fmt.Errorf("%w directory: empty; allowed is the path of a directory", store.ErrInvalid)
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	d := &Directory{path: absolute, now: opts.Now, fsync: fsync, seed: maphash.MakeSeed()}
	if d.now == nil {
		d.now = time.Now
	}
	info, err := os.Stat(absolute)
	switch {
	case err == nil && !info.IsDir():
		return nil, fmt.Errorf("%w directory %q: is no directory", store.ErrInvalid, name)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%w directory %q: a part of the path is no directory", store.ErrInvalid, name)
	case errors.Is(err, fs.ErrNotExist):
		err = d.createRoot()
	}
	if err != nil {
		return nil, fmt.Errorf("directory %q: %w", name, err)
	}
	if d.root, err = os.OpenRoot(absolute); err != nil {
		return nil, fmt.Errorf("directory %q: %w", name, err)
	}
	if err := d.sweep(ctx, "."); err != nil {
		err = fmt.Errorf("directory %q: remove what crashes left: %w", name, err)
		return nil, errors.Join(err, d.root.Close())
	}
	return d, nil
}

// createRoot creates the directory itself.
func (d *Directory) createRoot() error {
	err := os.Mkdir(d.path, 0o777)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil // by another process, just now
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: its parent does not exist", store.ErrInvalid)
	case err != nil:
		return err
	}
	if err := d.syncParent(); err != nil {
		// The next one to open it would take it for durable.
		return errors.Join(err, os.Remove(d.path))
	}
	return nil
}

// syncParent makes the directory itself durable.
func (d *Directory) syncParent() error {
	parent, err := os.Open(filepath.Dir(d.path))
	if err != nil {
		return err
	}
	return errors.Join(d.syncFolder(parent), parent.Close())
}

// Put implements Bucket.
func (d *Directory) Put(ctx context.Context, key string, body []byte) error {
	return d.wrap("put", key, d.put(ctx, key, body, d.root.Rename))
}

// Create implements Creator. It needs a file system with hard links.
func (d *Directory) Create(ctx context.Context, key string, body []byte) error {
	return d.wrap("create", key, d.create(ctx, key, body))
}

func (d *Directory) create(ctx context.Context, key string, body []byte) error {
	if err := d.check(ctx, key); err != nil {
		return err
	}
	// Linking alone is right; this saves writing the body, and tells what is no object.
	info, err := d.root.Lstat(key)
	switch {
	case isAbsent(err):
		return d.put(ctx, key, body, d.link)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("something that is no file stands there")
	}
	return ErrExists
}

// link gives the temporary file its key as a second name, unless that is taken, and
// then takes away the first one.
func (d *Directory) link(temporary, key string) error {
	err := d.root.Link(temporary, key)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return err
	}
	_ = d.root.Remove(temporary) // the object is there; a later OpenDirectory sweeps the other name
	return nil
}

// put writes body to a temporary file and calls place to move that to its key.
func (d *Directory) put(ctx context.Context, key string, body []byte, place func(temporary, key string) error) (err error) {
	if err := d.check(ctx, key); err != nil {
		return err
	}
	folder := path.Dir(key)
	placed := false
	var temporary string
	defer func() {
		if !placed {
			// All of this tidies up after the error at hand. What can't be removed now a
			// later OpenDirectory sweeps.
			if temporary != "" {
				_ = d.root.Remove(temporary)
			}
			_ = d.removeEmpty(folder)
		}
	}()
	temporary, f, err := d.createTemporary(ctx, folder)
	if err != nil {
		return err
	}
	if err := errors.Join(d.write(ctx, f, temporary, body), f.Close()); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// From here on ctx is not looked at: the object is there, and must be durable.
	lock := d.lock(folder)
	lock.Lock()
	err = place(temporary, key)
	lock.Unlock()
	if err != nil {
		return err
	}
	placed = true
	return d.makeDurable(folder)
}

// createTemporary creates a temporary file in the folder, and the folder.
func (d *Directory) createTemporary(ctx context.Context, folder string) (name string, f *os.File, err error) {
	for {
		name = path.Join(folder, fmt.Sprintf("~%016x", rand.Uint64()))
		f, err = d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		switch {
		case errors.Is(err, fs.ErrExist):
		case errors.Is(err, fs.ErrNotExist):
			// A Delete may remove the folder again before the file is in it, and then this
			// starts anew; once the file is there nobody can.
			if err := d.present(); err != nil {
				return "", nil, err
			}
			if err := d.createFolder(folder); err != nil {
				return "", nil, err
			}
		default:
			return name, f, err
		}
		if err := ctx.Err(); err != nil {
			return "", nil, err
		}
	}
}

// createFolder creates the folder and its parents. It is no error if one of them is
// being removed.
func (d *Directory) createFolder(folder string) error {
	lock := d.lock(folder)
	lock.Lock()
	defer lock.Unlock()
	d.durable.remove(folder) // where another process had removed it, this one did not notice
	err := d.root.MkdirAll(folder, 0o777)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrExist):
		// Something stands there that is no folder, or it was one that another process
		// removed before MkdirAll could see that.
		if info, statErr := d.root.Lstat(folder); isAbsent(statErr) || statErr == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

// write writes body to the temporary file and makes it durable.
func (d *Directory) write(ctx context.Context, f *os.File, name string, body []byte) error {
	err := inPieces(ctx, body, func(piece []byte) error {
		_, err := f.Write(piece)
		return err
	})
	if err != nil {
		return err
	}
	if err := d.fsync(f); err != nil {
		return err
	}
	return d.root.Chtimes(name, time.Time{}, d.uniqueTime())
}

// uniqueTime returns the current time, or a little more: no time twice. Steps of a
// microsecond also differ where a file system keeps no nanoseconds.
func (d *Directory) uniqueTime() time.Time {
	for {
		last := d.lastTime.Load()
		next := max(d.now().UnixNano(), last+int64(time.Microsecond))
		if d.lastTime.CompareAndSwap(last, next) {
			return time.Unix(0, next)
		}
	}
}

// makeDurable makes durable what has been renamed into the folder: the name in the
// folder, and that of each folder in its parent, unless it is known to be.
func (d *Directory) makeDurable(folder string) error {
	if err := d.syncNames(folder); err != nil {
		return err
	}
	for ; folder != "."; folder = path.Dir(folder) {
		if err := d.makeFolderDurable(folder); err != nil {
			return err
		}
	}
	return nil
}

// makeFolderDurable makes the folder itself durable. It may have been created by
// another call or process that had no time yet, or no more, to do that.
func (d *Directory) makeFolderDurable(folder string) error {
	if d.durable.has(folder) {
		return nil
	}
	// Under its lock no folder is created or removed. Else this could happen: this
	// call synchronises the parent, a Delete removes the folder and forgets that it was
	// durable, a Put creates it anew, this call notes it as durable, and the Put relies
	// on that.
	lock := d.lock(folder)
	lock.Lock()
	defer lock.Unlock()
	if _, err := d.root.Lstat(folder); isAbsent(err) {
		return nil // and so is what was put there
	} else if err != nil {
		return err
	}
	if err := d.syncNames(path.Dir(folder)); err != nil {
		return err
	}
	d.durable.add(folder)
	return nil
}

// syncNames makes the names in the folder durable. A folder that is gone has none:
// what was put there has been deleted since.
func (d *Directory) syncNames(folder string) error {
	f, err := d.root.Open(folder)
	if isAbsent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.syncFolder(f), f.Close())
}

func (d *Directory) syncFolder(f *os.File) error {
	if runtime.GOOS == "windows" {
		return nil // has no such operation
	}
	return d.fsync(f)
}

// Get implements Bucket.
func (d *Directory) Get(ctx context.Context, key string) ([]byte, string, error) {
	body, etag, err := d.get(ctx, key)
	return body, etag, d.wrap("get", key, err)
}

func (d *Directory) get(ctx context.Context, key string) (body []byte, etag string, err error) {
	if err := d.check(ctx, key); err != nil {
		return nil, "", err
	}
	info, err := d.root.Lstat(key) // before it is opened: opening a pipe would wait for a writer
	if isAbsent(err) || err == nil && !info.Mode().IsRegular() {
		return nil, "", d.absent()
	}
	if err != nil {
		return nil, "", err
	}
	f, err := d.root.Open(key)
	if isAbsent(err) {
		return nil, "", d.absent()
	}
	if err != nil {
		return nil, "", err
	}
	defer f.Close() // read only: nothing is lost if that fails
	// Of the file that is open: another may have been renamed into its place.
	if info, err = f.Stat(); err != nil {
		return nil, "", err
	}
	body = make([]byte, info.Size())
	err = inPieces(ctx, body, func(piece []byte) error {
		_, err := io.ReadFull(f, piece)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return body, fileTag(info), nil
}

// Delete implements Bucket.
func (d *Directory) Delete(ctx context.Context, keys []string) error {
	touched := make(map[string]bool) // folders from which something was removed
	for _, key := range keys {
		removed, err := d.remove(ctx, key)
		if err != nil {
			return d.wrap("delete", key, err)
		}
		if removed {
			touched[path.Dir(key)] = true
		}
	}
	for folder := range touched {
		// Durable first: an object must not come back when the empty folder does.
		if err := d.syncNames(folder); err != nil {
			return d.wrap("delete from", folder, err)
		}
		if err := d.removeEmpty(folder); err != nil {
			return d.wrap("delete", folder, err)
		}
	}
	return nil
}

// remove removes the object at key, if there is one.
func (d *Directory) remove(ctx context.Context, key string) (removed bool, err error) {
	if err := d.check(ctx, key); err != nil {
		return false, err
	}
	lock := d.lock(path.Dir(key))
	lock.Lock()
	defer lock.Unlock()
	info, err := d.root.Lstat(key)
	if isAbsent(err) || err == nil && !info.Mode().IsRegular() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := d.root.Remove(key); err != nil {
		if isAbsent(err) { // another process was faster
			err = nil
		}
		return false, err
	}
	return true, nil
}

// removeEmpty removes the folder if nothing is in it.
func (d *Directory) removeEmpty(folder string) error {
	if folder == "." {
		return nil
	}
	lock := d.lock(folder)
	lock.Lock()
	defer lock.Unlock()
	// Remove would take a file or a link in its place as well.
	if info, err := d.root.Lstat(folder); isAbsent(err) || err == nil && !info.IsDir() {
		return nil
	} else if err != nil {
		return err
	}
	err := d.root.Remove(folder)
	if err == nil {
		d.durable.remove(folder)
	}
	if isAbsent(err) || errors.Is(err, fs.ErrExist) { // it is not empty
		return nil
	}
	return err
}

// Close implements Bucket.
func (d *Directory) Close() error { return d.wrap("close", "", d.root.Close()) }

// check returns an error if ctx has ended or key is none.
func (d *Directory) check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !isPath(key) {
		return fmt.Errorf("%w key", store.ErrInvalid)
	}
	return nil
}

// absent returns ErrNoObject, or why it can't be said that there is none.
func (d *Directory) absent() error {
	if err := d.present(); err != nil {
		return err
	}
	return ErrNoObject
}

// present returns an error if the directory is no longer at its path. One that was
// deleted or unmounted looks empty to whoever holds it open, and "nothing is stored"
// would be a wrong answer.
func (d *Directory) present() error {
	there, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	held, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	if !os.SameFile(there, held) {
		return errors.New("the directory was replaced by another one while it was open")
	}
	return nil
}

func (d *Directory) lock(folder string) *sync.RWMutex {
	return &d.folders[maphash.String(d.seed, folder)%uint64(len(d.folders))]
}

func (d *Directory) wrap(op, key string, err error) error {
	if err == nil || errors.Is(err, ErrNoObject) || errors.Is(err, ErrExists) {
		return err
	}
	return fmt.Errorf("directory %q: %s %q: %w", d.path, op, key, err)
}

// isAbsent says whether err means that there is nothing at a path, also because a
// file stands where a folder of the path would have to.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// fileTag returns the tag of the object in a file.
func fileTag(info fs.FileInfo) string {
	return fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size())
}

// inPieces calls do with one piece of b after the other, as long as ctx lasts.
func inPieces(ctx context.Context, b []byte, do func(piece []byte) error) error {
	const size = 1 << 20
	for len(b) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(size, len(b))
		if err := do(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
