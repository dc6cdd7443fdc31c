package objectstore

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"slices"
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

// A walkEntry is a name in a folder that may belong to the list.
type walkEntry struct {
	key    string // ends in "/" for a folder
	object Object // of a file
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

// entries returns what is in the folder and after w.after, in byte order of the keys
// that it stands for: not that of the names, since "a-" comes after "a" but before
// "a/". Of the files there are no more than still fit the list.
func (w *walk) entries(ctx context.Context, folder string) ([]walkEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Under the lock of the folder until the tags are read: they must be of the same
	// moment as the names.
	lock := w.d.lock(folder)
	lock.RLock()
	defer lock.RUnlock()
	found, err := w.d.readFolder(folder)
	if err != nil {
		return nil, err
	}
	var entries []walkEntry
	for _, f := range found {
		if !isSegment(f.Name()) {
			continue
		}
		key := path.Join(folder, f.Name())
		switch {
		case f.IsDir():
			key += "/"
			// Passed when all keys that begin with it are: w.after is none of them.
			if key <= w.after && !strings.HasPrefix(w.after, key) {
				continue
			}
		case !f.Type().IsRegular() || key <= w.after:
			continue
		}
		entries = append(entries, walkEntry{key: key})
	}
	slices.SortFunc(entries, func(a, b walkEntry) int { return cmp.Compare(a.key, b.key) })

	room := w.limit - len(w.objects)
	kept := entries[:0]
	for _, entry := range entries {
		if room == 0 {
			break
		}
		if !strings.HasSuffix(entry.key, "/") {
			info, err := w.d.root.Lstat(entry.key)
			if isAbsent(err) {
				continue // another process removed it
			}
			if err != nil {
				return nil, err
			}
			entry.object = Object{Key: entry.key, Size: info.Size(), ETag: fileTag(info)}
			room--
		}
		kept = append(kept, entry)
	}
	return kept, nil
}

// readFolder returns what is in the folder, in no particular order. One that does
// not exist has nothing in it.
func (d *Directory) readFolder(folder string) ([]fs.DirEntry, error) {
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
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing is lost if that fails
	entries, err := f.ReadDir(-1)
	if isAbsent(err) { // another process removed it meanwhile
		return nil, nil
	}
	return entries, err
}
