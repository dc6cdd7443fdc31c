package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpenDamagedFile opens files with damage in them and calls everything: see
// examine. The input is edits of an intact file, of 4 bytes each: an offset (3 bytes,
// big-endian, modulo the length of the file) and what is combined (exclusive or) with
// the byte there. Where that is 0 the file ends there.
func FuzzOpenDamagedFile(f *testing.F) {
	intact := intactFile(f)
	folder, err := os.MkdirTemp("", "FuzzOpenDamagedFile") // one for all inputs: making one is slower than all the rest
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			f.Error(err)
		}
	})
	path := filepath.Join(folder, "damaged.db")

	f.Add([]byte{})
	edit := func(at int, value byte) []byte { return []byte{byte(at >> 16), byte(at >> 8), byte(at), value} }
	for _, at := range []int{16, 18, 28, 35, 39, 47, 59} { // the file's header
		f.Add(edit(at, 0x01))
	}
	for at := 100; at < damagedPageSize; at += 80 { // the schema
		f.Add(edit(at, 0x01))
	}
	for _, pages := range pagesByKind(intact) {
		at := pages[0] * damagedPageSize
		for _, inPage := range []int{0, 3, 5, 8, 12, 500} { // header, cell pointers, cells
			f.Add(edit(at+inPage, 0x01))
		}
		f.Add(edit(at, 0))
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		data := bytes.Clone(intact)
		for ; len(edits) >= 4 && len(data) > 0; edits = edits[4:] {
			at := (int(edits[0])<<16 | int(edits[1])<<8 | int(edits[2])) % len(data)
			if edits[3] == 0 {
				data = data[:at]
			} else {
				data[at] ^= edits[3]
			}
		}
		for suffix, content := range map[string][]byte{"": data, "-journal": nil, "-wal": nil, "-shm": nil} {
			if err := os.RemoveAll(path + suffix); err != nil {
				t.Fatal(err)
			}
			if content != nil {
				if err := os.WriteFile(path+suffix, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		examine(t, path)
	})
}
