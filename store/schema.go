package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// schemaMagic begins a state that names its schema version. No JSON, no protobuf
// message and no gob stream begins with a zero byte.
var schemaMagic = []byte{0x00, 'S', 'C', 'V'}

// An Upcast turns what the codec of one schema version has encoded into what that of
// the next would have. It must not write or keep old.
type Upcast func(old []byte) ([]byte, error)

// Versioned returns a Codec that writes down the schema version of each state, so that
// a type can change and its old snapshots stay readable. codec encodes and decodes the
// version given; upcasts[n] brings a state of version n to n+1, and they are applied
// one after the other. A state without a version, from before Versioned was used, is
// of version 0.
//
// A state of a later version, or of one for which an Upcast is missing, is an error
// that matches errors.ErrUnsupported: it is not damaged, this program is too old, or
// too new, for it.
//
// # Format
//
//	0   4        00 53 43 56
//	4   uvarint  the schema version, as in encoding/binary
//	             what the codec encoded
func Versioned[T any](codec Codec[T], version uint32, upcasts map[uint32]Upcast) (Codec[T], error) {
	if codec == nil {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("schema: %w codec: nil", ErrInvalid))
	}
	for _, from := range slices.Sorted(maps.Keys(upcasts)) {
		if from >= version || upcasts[from] == nil {
			return nil, Wrap(OpOpen, "", 0, fmt.Errorf("schema: %w upcast of version %d: allowed are functions for versions below %d", ErrInvalid, from, version))
		}
	}
	return versionedCodec[T]{codec: codec, version: version, upcasts: maps.Clone(upcasts)}, nil
}

// SchemaVersion returns the schema version that Versioned has written into a state,
// and what is behind it; 0 and the whole state where there is none.
func SchemaVersion(state []byte) (version uint32, encoded []byte, err error) {
	rest, ok := bytes.CutPrefix(state, schemaMagic)
	if !ok {
		return 0, state, nil
	}
	number, n := binary.Uvarint(rest)
	if n <= 0 || uint64(uint32(number)) != number {
		return 0, nil, fmt.Errorf("schema: %w: no version behind the magic number", ErrCorrupt)
	}
	return uint32(number), rest[n:], nil
}

type versionedCodec[T any] struct {
	codec   Codec[T]
	version uint32
	upcasts map[uint32]Upcast
}

func (c versionedCodec[T]) Encode(value T) ([]byte, error) {
	encoded, err := c.codec.Encode(value)
	if err != nil {
		return nil, err
	}
	state := make([]byte, 0, len(schemaMagic)+binary.MaxVarintLen32+len(encoded))
	state = binary.AppendUvarint(append(state, schemaMagic...), uint64(c.version))
	return append(state, encoded...), nil
}

func (c versionedCodec[T]) Decode(state []byte) (value T, err error) {
	version, encoded, err := SchemaVersion(state)
	if err != nil {
		return value, err
	}
	if version > c.version {
		return value, fmt.Errorf("schema: version %d of a later program; this one knows up to %d: %w", version, c.version, errors.ErrUnsupported)
	}
	for ; version < c.version; version++ {
		upcast := c.upcasts[version]
		if upcast == nil {
			return value, fmt.Errorf("schema: no upcast of version %d to %d: %w", version, version+1, errors.ErrUnsupported)
		}
		if encoded, err = upcast(encoded); err != nil {
			return value, fmt.Errorf("schema: upcast of version %d to %d: %w", version, version+1, err)
		}
	}
	return c.codec.Decode(encoded)
}
