package compress

import (
	"strings"

	"github.com/snapstack/snapstack/store"
)

// The bases of a Delta stand in the inner store under ids of their own, out of reach
// of Keep and Delete: those of an entity by a writer under the id, baseMark, and the name
// of the writer. So they begin as the id does, and a store.Route by prefix has them where
// it has the snapshots. An id of the application that reads like one of a base, or like
// one that was escaped, is kept with baseMark and an equals sign behind it. Every other is
// kept as it is.
const (
	baseMark    = "~delta~"
	escapedMark = "="
)

// storedID returns the id in the inner store of an id of the application.
func storedID(id string) string {
	if name, _ := nameOf(id); name.id != id {
		return id + baseMark + escapedMark
	}
	return id
}

// baseID returns the id in the inner store of the bases that the writer has made of an
// id, or false where that would be too long for one.
func baseID(writer, id string) (string, bool) {
	base := id + baseMark + writer
	return base, len(base) <= store.MaxIDBytes
}

// A storedName is what an id in the inner store stands for.
type storedName struct {
	id     string // of the application
	writer string // of the bases that are there; empty where snapshots are
}

// nameOf returns what an id in the inner store stands for. What reads like an id that was
// escaped, and need not have been, was there before the wrapper and is out of its reach.
func nameOf(stored string) (name storedName, ok bool) {
	// No writer has a tilde in its name, nor has escapedMark: the mark is the last one.
	i := strings.LastIndex(stored, baseMark)
	if i <= 0 {
		return storedName{id: stored}, true
	}
	id, tail := stored[:i], stored[i+len(baseMark):]
	switch {
	case tail == escapedMark:
		return storedName{id: id}, storedID(id) == stored
	case isWriter(tail):
		return storedName{id: id, writer: tail}, true
	}
	return storedName{id: stored}, true
}

// isWriter says whether name may be that of a writer.
func isWriter(name string) bool {
	if name == "" || len(name) > maxWriterBytes {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

const maxWriterBytes = 64
