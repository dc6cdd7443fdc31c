package objectstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/snapstack/snapstack/store"
)

// The layout is in the package's documentation.
const (
	idOffset     = 44
	sumSize      = 4
	envelopeSize = idOffset + sumSize // without the id

	version = 1
)

var (
	envelopeMagic = []byte{0x5b, 0x2a, 0x4d, 0x18}
	formatMagic   = []byte("Snap")
	castagnoli    = crc32.MakeTable(crc32.Castagnoli)
)

// envelope is what an envelope says of the state behind it.
type envelope struct {
	id         string
	sequenceNr uint64
	timestamp  time.Time
	stateSize  uint64
	stateSum   uint32
}

// encode returns the object of snap, whose timestamp is one to store.
func encode(snap store.Snapshot) []byte {
	size := envelopeSize + len(snap.PersistenceID)
	b := make([]byte, 0, size+len(snap.State))
	b = append(b, envelopeMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size-8))
	b = append(b, formatMagic...)
	b = append(b, version, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(snap.PersistenceID)))
	b = binary.LittleEndian.AppendUint64(b, snap.SequenceNr)
	b = binary.LittleEndian.AppendUint64(b, uint64(snap.Timestamp.UnixMilli()))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(snap.State)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(snap.State, castagnoli))
	b = append(b, snap.PersistenceID...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, snap.State...)
}

// decode returns the snapshot in the object that was found where that of id at
// sequenceNr belongs. Its State is a part of object.
func decode(object []byte, id string, sequenceNr uint64) (store.Snapshot, error) {
	e, state, err := decodeEnvelope(object)
	switch {
	case err != nil:
		return store.Snapshot{}, err
	case e.id != id:
		return store.Snapshot{}, fmt.Errorf("%w: holds a snapshot of %q", store.ErrCorrupt, e.id)
	case e.sequenceNr != sequenceNr:
		return store.Snapshot{}, fmt.Errorf("%w: holds the snapshot at %d", store.ErrCorrupt, e.sequenceNr)
	case uint64(len(state)) != e.stateSize:
		return store.Snapshot{}, fmt.Errorf("%w: %d bytes of state where the envelope says %d", store.ErrCorrupt, len(state), e.stateSize)
	case crc32.Checksum(state, castagnoli) != e.stateSum:
		return store.Snapshot{}, fmt.Errorf("%w: checksum of the state does not match", store.ErrCorrupt)
	}
	// The capacity ends with the state, so that the bytes behind it are not the
	// caller's by way of append.
	return store.Snapshot{
		PersistenceID: id,
		SequenceNr:    sequenceNr,
		Timestamp:     e.timestamp,
		State:         state[:len(state):len(state)],
	}, nil
}

// decodeEnvelope returns the envelope that object begins with, which is intact,
// and what follows it, which may not be.
func decodeEnvelope(object []byte) (envelope, []byte, error) {
	if len(object) < envelopeSize || !bytes.Equal(object[:4], envelopeMagic) || !bytes.Equal(object[8:12], formatMagic) {
		return envelope{}, nil, fmt.Errorf("%w: does not begin with an envelope", store.ErrCorrupt)
	}
	// In 64 bits, where no length that is read can overflow.
	size := 8 + int64(binary.LittleEndian.Uint32(object[4:]))
	if size < envelopeSize || size > int64(len(object)) {
		return envelope{}, nil, fmt.Errorf("%w: envelope of %d bytes in an object of %d", store.ErrCorrupt, size, len(object))
	}
	header, state := object[:size-sumSize], object[size:]
	if crc32.Checksum(header, castagnoli) != binary.LittleEndian.Uint32(object[size-sumSize:]) {
		return envelope{}, nil, fmt.Errorf("%w: checksum of the envelope does not match", store.ErrCorrupt)
	}
	// From here on the bytes are what somebody wrote.
	if header[12] != version || header[13] != 0 {
		return envelope{}, nil, fmt.Errorf("%w: envelope of version %d with flags %02x; known is version %d without flags",
			errors.ErrUnsupported, header[12], header[13], version)
	}
	if n := int(binary.LittleEndian.Uint16(header[14:])); n != len(header)-idOffset {
		return envelope{}, nil, fmt.Errorf("%w: id of %d bytes in an envelope of %d", store.ErrCorrupt, n, size)
	}
	return envelope{
		id:         string(header[idOffset:]),
		sequenceNr: binary.LittleEndian.Uint64(header[16:]),
		timestamp:  time.UnixMilli(int64(binary.LittleEndian.Uint64(header[24:]))).UTC(),
		stateSize:  binary.LittleEndian.Uint64(header[32:]),
		stateSum:   binary.LittleEndian.Uint32(header[40:]),
	}, state, nil
}
