package objectstore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// indexed opens a directory with a folder of n files, 0 to n-1, and a clock that stands.
func indexed(t *testing.T, n int) (d *Directory, folder string, now *time.Time) {
	t.Helper()
	d = openTestDirectory(t, t.TempDir())
	for i := range n {
		mustPut(t, d, fmt.Sprintf("a/%04d", i), "body")
	}
	now = new(time.Time)
	*now = time.Now()
	d.now = func() time.Time { return *now }
	return d, filepath.Join(d.path, "a"), now
}

func wantListed(t *testing.T, d *Directory, n int) {
	t.Helper()
	objects, _, err := d.List(t.Context(), "a/", "", 10_000)
	if err != nil || len(objects) != n {
		t.Errorf("List gives %d objects, %v; want %d", len(objects), err, n)
	}
}

// isRemembered says whether the names of the folder a would be taken from memory.
func isRemembered(t *testing.T, d *Directory, folder string) bool {
	t.Helper()
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	index, known := d.indexes.get("a", info)
	return known && index.settled
}

func TestNamesAreRememberedUntilTheyChange(t *testing.T) {
	d, folder, now := indexed(t, 20)
	wantListed(t, d, 20)
	if isRemembered(t, d, folder) {
		t.Error("names are relied on that were read when the folder was first seen")
	}
	*now = now.Add(fineSettled)
	wantListed(t, d, 20)
	if !isRemembered(t, d, folder) {
		t.Error("names of a folder that stayed the same are not remembered")
	}
	wantListed(t, d, 20)

	change := map[string]func() error{
		"by a put":      func() error { return d.Put(t.Context(), "a/9999", nil) },
		"by a delete":   func() error { return d.Delete(t.Context(), []string{"a/9999"}) },
		"by another":    func() error { return os.WriteFile(filepath.Join(folder, "another"), nil, 0o666) },
		"by a removal":  func() error { return os.Remove(filepath.Join(folder, "another")) },
		"by its return": func() error { return os.Rename(filepath.Join(folder, "0000"), filepath.Join(folder, "0000-")) },
	}
	n := 20
	for _, how := range []string{"by a put", "by a delete", "by another", "by a removal", "by its return"} {
		if err := change[how](); err != nil {
			t.Fatal(err)
		}
		n += map[string]int{"by a put": 1, "by a delete": -1, "by another": 1, "by a removal": -1}[how]
		if isRemembered(t, d, folder) {
			t.Errorf("names are relied on that were changed %s", how)
		}
		wantListed(t, d, n)
		*now = now.Add(fineSettled)
		wantListed(t, d, n)
		if !isRemembered(t, d, folder) {
			t.Errorf("names are not remembered after a change %s", how)
		}
		wantListed(t, d, n)
	}
}

// The clock of a file system has steps. Names that another process changes within the
// step in which they were read have the time of before.
func TestNamesReadWithinAStepOfTheClockAreNotReliedOn(t *testing.T) {
	for _, c := range []struct {
		time    time.Time // of the folder
		settled time.Duration
	}{
		{time.Unix(1_900_000_000, 4_000_000), fineSettled},
		{time.Unix(1_900_000_000, 0), coarseSettled},
	} {
		d, folder, now := indexed(t, 20)
		if err := os.Chtimes(folder, c.time, c.time); err != nil {
			t.Fatal(err)
		}
		wantListed(t, d, 20)
		*now = now.Add(c.settled - 1)
		wantListed(t, d, 20)
		if err := os.WriteFile(filepath.Join(folder, "within"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(folder, c.time, c.time); err != nil {
			t.Fatal(err)
		}
		wantListed(t, d, 21)
		*now = now.Add(1)
		wantListed(t, d, 21)
		if !isRemembered(t, d, folder) {
			t.Errorf("names are not remembered %v after the folder was seen", c.settled)
		}
	}
}

// A folder in the place of another may have its time, as one that was restored.
func TestAnotherFolderIsNotTakenForTheOneRemembered(t *testing.T) {
	d, folder, now := indexed(t, 20)
	wantListed(t, d, 20)
	*now = now.Add(fineSettled)
	wantListed(t, d, 20)
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder, folder+"-"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 21 { // the same names, and one more
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%04d", i)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(folder, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	wantListed(t, d, 21)
}

func TestRememberedNamesAreBounded(t *testing.T) {
	var x folderIndexes
	info, err := os.Stat(".")
	if err != nil {
		t.Fatal(err)
	}
	large := folderIndex{info: info, settled: true, entries: make([]walkEntry, maxIndexed/4)}
	for i := range 10 {
		folder := fmt.Sprint(i)
		x.put(folder, large)
		x.put(folder, large) // counts once
		total := 0
		for _, index := range x.folders {
			total += 1 + len(index.entries)
		}
		if _, known := x.get(folder, info); !known || total > maxIndexed || total != x.names {
			t.Fatalf("%d names, counted as %d, after %d folders, the last known: %v; want at most %d", total, x.names, i+1, known, maxIndexed)
		}
	}
	for folder := range x.folders {
		x.forget(folder)
	}
	if x.names != 0 {
		t.Errorf("%d names after all are forgotten", x.names)
	}
	d, folder, now := indexed(t, minIndexed-1)
	wantListed(t, d, minIndexed-1)
	*now = now.Add(time.Hour)
	wantListed(t, d, minIndexed-1)
	if isRemembered(t, d, folder) || len(d.indexes.folders) != 0 {
		t.Error("a small folder takes room")
	}
}
