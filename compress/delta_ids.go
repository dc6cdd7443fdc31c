package compress

import (
	"strings"

	"github.com/snapstack/snapstack/store"
)

// The bases of a Delta stand in the inner store under ids of their own, out of reach
// of Keep and Delete: those of an entity by a writer under basePrefix, the name of the
// writer, a tilde, and the id. An id of the application that begins with basePrefix
// is kept under basePrefix, an equals sign, and the id. Every other is kept as it is.
const (
	basePrefix  = "~delta~"
	escapedMark = "="
	writerMark  = "~"
)

// storedID returns the id in the inner store of an id of the application.
func storedID(id string) string {
	if strings.HasPrefix(id, basePrefix) {
		return basePrefix + escapedMark + id
	}
	return id
}

// baseID returns the id in the inner store of the bases that the writer has made of an
// id, or false where that would be too long for one.
func baseID(writer, id string) (string, bool) {
	base := basePrefix + writer + writerMark + id
	return base, len(base) <= store.MaxIDBytes
}

// A storedName is what an id in the inner store stands for.
type storedName struct {
	id     string // of the application
	writer string // of the bases that are there; empty where snapshots are
}

// nameOf returns what an id in the inner store stands for. What begins with basePrefix
// and is neither was there before the wrapper, and is out of its reach.
func nameOf(stored string) (name storedName, ok bool) {
	rest, special := strings.CutPrefix(stored, basePrefix)
	if !special {
		return storedName{id: stored}, true
	}
	if id, escaped := strings.CutPrefix(rest, escapedMark); escaped {
		return storedName{id: id}, strings.HasPrefix(id, basePrefix)
	}
	writer, id, found := strings.Cut(rest, writerMark)
	return storedName{id: id, writer: writer}, found && isWriter(writer) && id != ""
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
