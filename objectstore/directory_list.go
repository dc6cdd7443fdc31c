package objectstore

import (
	"context"
	"io/fs"
	"os"
	"path"
	"strings"
)

// List implements Bucket.
func (d *Directory) List(ctx context.Context, prefix, after string, limit int) (objects []Object, more bool, err error) {
	w := walk{d: d, after: after, limit: limit + 1} // the last one says that there are more
	if err := w.folder(ctx, path.Clean(prefix)); err != nil {
		return nil, false, d.wrap("list", prefix, err)
	}
	if len(w.objects) == 0 {
		if err := d.present(); err != nil {
			return nil, false, d.wrap("list", prefix, err)
		}
	}
	if len(w.objects) > limit {
		return w.objects[:limit], true, nil
	}
	return w.objects, false, nil
}

// A walk collects objects in byte order of their keys.
type walk struct {
	d       *Directory
	after   string
	limit   int
	objects []Object // at most limit of them
}

// A walkEntry is a name in a folder that may belong to the list. Entries are in byte
// order of the keys that they stand for.
type walkEntry struct {
	key    string // ends in "/" for a folder; of one that is not described also without
	object Object // of a file, once it is described
}

// folder walks the folder and those beneath it.
func (w *walk) folder(ctx context.Context, folder string) error {
	entries, err := w.entries(ctx, folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if len(w.objects) == w.limit {
			return nil
		}
		if strings.HasSuffix(entry.key, "/") {
			if err := w.folder(ctx, path.Clean(entry.key)); err != nil {
				return err
			}
		} else {
			w.objects = append(w.objects, entry.object)
		}
	}
	return nil
}

// entries returns what is in the folder and after w.after, in byte order of keys. Of
// the files there are no more than still fit the list.
func (w *walk) entries(ctx context.Context, folder string) ([]walkEntry, error) {
	// Under the lock of the folder until the tags are read: they must be of the same
	// moment as the names.
	lock := w.d.lock(folder)
	lock.RLock()
	defer lock.RUnlock()
	for typed := false; ; typed = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		before, all, err := w.d.names(folder, typed)
		if err != nil && !isAbsent(err) {
			return nil, err
		}
		var entries []walkEntry
		if err == nil {
			entries, err = w.describe(entriesAfter(all, w.after))
		}
		// Other processes, which no lock holds up, may put a new file where the reading
		// has passed and remove the old one before it is there: a single system call
		// does not always read all names. Then nothing is found though there never was
		// nothing, and the reading starts again; so it does for a file that went before
		// its tag was read. From then on it asks for types at once, and does not start
		// again for a folder.
		again := isAbsent(err)
		if again {
			w.d.indexes.forget(folder)
		}
		if err == nil && len(entries) == 0 && before != nil {
			again, err = w.d.changed(folder, before)
		}
		if !again {
			return entries, err
		}
	}
}

// describe returns those of the entries that are folders, and with their objects those
// that are files, as many as still fit the list. It leaves out what follows.
func (w *walk) describe(entries []walkEntry) ([]walkEntry, error) {
	room := w.limit - len(w.objects)
	var described []walkEntry
	for _, entry := range entries {
		if strings.HasSuffix(entry.key, "/") {
			described = append(described, entry)
			continue
		}
		if room == 0 {
			break
		}
		info, err := w.d.root.Lstat(entry.key)
		if err != nil {
			return nil, err
		}
		switch {
		case info.IsDir():
			described = append(described, walkEntry{key: entry.key + "/"})
		case info.Mode().IsRegular() && entry.key > w.after:
			object := Object{Key: entry.key, Size: info.Size(), ETag: fileTag(info)}
			described = append(described, walkEntry{key: entry.key, object: object})
			room--
		}
	}
	return described, nil
}

// readFolder returns what is in the folder, in no particular order.
func (d *Directory) readFolder(folder string) ([]fs.DirEntry, error) {
	f, err := d.openFolder(folder)
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing is lost if that fails
	entries, err := f.ReadDir(-1)
	if isAbsent(err) { // another process removed it meanwhile
		return nil, nil
	}
	return entries, err
}

// openFolder opens the folder to read its names, or returns nil if there is none.
func (d *Directory) openFolder(folder string) (*os.File, error) {
	info, err := d.root.Stat(folder) // before it is opened: opening a pipe would wait for a writer
	if isAbsent(err) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(folder)
	if isAbsent(err) {
		return nil, nil
	}
	return f, err
}

// changed says whether names came or went in the folder since it was as before says,
// as far as the times tell that the file system keeps.
func (d *Directory) changed(folder string, before fs.FileInfo) (bool, error) {
	now, err := d.root.Stat(folder)
	if isAbsent(err) {
		return false, nil // it went empty
	}
	if err != nil {
		return false, err
	}
	return !now.ModTime().Equal(before.ModTime()), nil
}
