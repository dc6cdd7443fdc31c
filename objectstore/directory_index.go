package objectstore

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// folderIndexes remember the names in large folders, so that the latest of 5,000
// snapshots is found as fast as the only one: reading 5,000 names takes some
// milliseconds. What is remembered is used as long as the modification time of the
// folder stays the same, which every name that comes or goes changes, whichever
// process does it.
//
// Such a time is no finer than the clock of the file system, though:
//
//   - another process puts 5, at the time T;
//   - this one reads the names, and would remember them as those of T;
//   - the other one puts 6, still at T.
//
// So names are only relied on if they were read a good while after the folder was first
// seen with its time: what comes after that has a later one. The while is measured by
// one clock, here; the file system may have another, as on a server.
//
// What this process puts or deletes itself is not entered into what is remembered, and
// the names are read again after it as after any change. For no time tells whether that
// was the only change:
//
//   - this process sees that the time is still T, that of the names remembered;
//   - another one puts 6;
//   - this one puts 7, at U, and would remember the names of T and 7 as those of U.
//
// Nobody here would find 6 as long as the folder stays at U. Only a lock between the
// processes would keep the other one out, and one that is stopped, or on a machine that
// is gone, would hold it against all.
//
// The zero value is empty.
type folderIndexes struct {
	mu      sync.Mutex
	folders map[string]folderIndex
	names   int // in all folders
}

type folderIndex struct {
	info    fs.FileInfo // of the folder, as it was before its names were read
	seen    time.Time   // when it was first seen like that
	settled bool        // whether entries may be relied on
	entries []walkEntry // all of the folder, in order, not described; nil unless settled
}

const (
	// minIndexed is how many names a folder has at least to be remembered. Fewer are
	// read as fast.
	minIndexed = 9

	// maxIndexed is how many names are remembered in all, some 10 MB. Beyond, all are
	// forgotten: they are only read once more.
	maxIndexed = 100_000

	// fineSettled and coarseSettled are how long a folder must stay the same before its
	// names are read to be remembered: much longer than the steps of the times that
	// file systems keep, which are 10 ms and less, or, where they are whole seconds, 2 s.
	fineSettled   = 100 * time.Millisecond
	coarseSettled = 5 * time.Second
)

// get returns what is known of the folder if it still looks like info.
func (x *folderIndexes) get(folder string, info fs.FileInfo) (index folderIndex, known bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	index, known = x.folders[folder]
	known = known && os.SameFile(index.info, info) && index.info.ModTime().Equal(info.ModTime())
	return index, known
}

func (x *folderIndexes) put(folder string, index folderIndex) {
	x.mu.Lock()
	defer x.mu.Unlock()
	// A folder counts as one name more than it has: also those that are not settled
	// take room.
	x.names += 1 + len(index.entries)
	if old, found := x.folders[folder]; found {
		x.names -= 1 + len(old.entries)
	}
	if x.folders == nil || x.names > maxIndexed {
		x.folders, x.names = make(map[string]folderIndex), 1+len(index.entries)
	}
	x.folders[folder] = index
}

func (x *folderIndexes) forget(folder string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old, found := x.folders[folder]; found {
		x.names -= 1 + len(old.entries)
		delete(x.folders, folder)
	}
}

// names returns all entries of the folder, in order, and what it was like before. Nobody
// may write them. For a folder that does not exist, or ceases to, both are nil: it has
// nothing in it, and had nothing at that moment.
//
// With typed it asks for each name what it is, which takes six times as long. Without,
// it fails with an error for which isAbsent holds if a name went that it had to ask for.
func (d *Directory) names(folder string, typed bool) (before fs.FileInfo, entries []walkEntry, err error) {
	f, err := d.openFolder(folder)
	if f == nil || err != nil {
		return nil, nil, err
	}
	defer f.Close() // read only: nothing is lost if that fails
	// Of the folder that is open: where another machine serves the files, it is opening
	// that asks there, and not every Stat.
	if before, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	seen := d.now()
	index, known := d.indexes.get(folder, before)
	if known && index.settled && !typed {
		return before, index.entries, nil
	}
	if known {
		seen = index.seen
	}
	settled := d.now().Sub(seen) >= settledAfter(before.ModTime())
	if typed {
		entries, err = typedEntries(folder, f)
	} else {
		entries, err = d.untypedEntries(folder, f)
	}
	if entries == nil || err != nil {
		return nil, nil, err
	}
	index = folderIndex{info: before, seen: seen, settled: settled}
	if settled {
		index.entries = entries
	}
	if len(entries) < minIndexed {
		d.indexes.forget(folder)
	} else {
		d.indexes.put(folder, index)
	}
	return before, entries, nil
}

// settledAfter returns how long a folder must stay the same with this modification
// time.
func settledAfter(modified time.Time) time.Duration {
	if modified.Nanosecond() == 0 {
		return coarseSettled
	}
	return fineSettled
}

// typedEntries reads the entries of the folder. They are nil if it went meanwhile.
func typedEntries(folder string, f *os.File) ([]walkEntry, error) {
	found, err := f.ReadDir(-1)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := make([]walkEntry, 0, len(found))
	for _, f := range found {
		if !isSegment(f.Name()) {
			continue
		}
		key := path.Join(folder, f.Name())
		switch {
		case f.IsDir():
			key += "/"
		case !f.Type().IsRegular():
			continue
		}
		entries = append(entries, walkEntry{key: key})
	}
	sortEntries(entries)
	return entries, nil
}

// untypedEntries is typedEntries that does not ask what a name is unless the order
// depends on it: whoever describes the entries sees. An [os.Root] has one system call for
// each name that is asked for.
func (d *Directory) untypedEntries(folder string, f *os.File) ([]walkEntry, error) {
	names, err := f.Readdirnames(-1)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !isSegment(name) })
	slices.Sort(names)
	entries := make([]walkEntry, len(names))
	for i, name := range names {
		entries[i].key = path.Join(folder, name)
		// Of a folder "a" the keys come behind "a-" and "a.", and of a file "a" before these.
		// No other bytes are less than "/", so if there is such a name, it is the next.
		if i+1 < len(names) && (strings.HasPrefix(names[i+1], name+"-") || strings.HasPrefix(names[i+1], name+".")) {
			info, err := d.root.Lstat(entries[i].key)
			if err != nil {
				return nil, err
			}
			if info.IsDir() {
				entries[i].key += "/"
			}
		}
	}
	sortEntries(entries)
	return entries, nil
}

// sortEntries sorts the entries by the keys that they stand for: not the order of their
// names, since "a-" comes after "a" but before "a/".
func sortEntries(entries []walkEntry) {
	slices.SortFunc(entries, func(a, b walkEntry) int { return cmp.Compare(a.key, b.key) })
}

// entriesAfter returns the entries that stand for keys after the one given, and possibly
// one of a key that is not.
func entriesAfter(entries []walkEntry, after string) []walkEntry {
	at, _ := slices.BinarySearchFunc(entries, after, func(e walkEntry, key string) int { return cmp.Compare(e.key, key) })
	// A folder comes before what is in it, and, if it isn't known to be one, also before
	// keys that continue its name with a byte less than "/". Nothing comes in between.
	if at > 0 && strings.HasPrefix(after, entries[at-1].key) {
		at--
	}
	return entries[at:]
}
