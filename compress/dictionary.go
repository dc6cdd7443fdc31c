package compress

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/store"
)

// maxWithDictionary is the greatest size in bytes of a state that is compressed with
// a dictionary. A larger one has enough in itself to look back at.
const maxWithDictionary = 128 << 10

// DictionaryID returns the id that frames name the dictionary by. What is no
// dictionary in zstd's format, as Train and `zstd --train` make them, is
// store.ErrInvalid.
func DictionaryID(dictionary []byte) (uint32, error) {
	if len(dictionary) == 0 {
		return 0, fmt.Errorf("compress: %w dictionary: empty; allowed are those of Train and of zstd --train", store.ErrInvalid)
	}
	d, err := zstd.InspectDictionary(dictionary)
	if err != nil {
		return 0, fmt.Errorf("compress: %w dictionary of %d bytes: %w; allowed are those of Train and of zstd --train", store.ErrInvalid, len(dictionary), err)
	}
	return d.ID(), nil
}

// dictionaryIDs returns the ids of Options.Dictionaries.
func dictionaryIDs(dictionaries [][]byte) ([]uint32, error) {
	var ids []uint32
	for i, dictionary := range dictionaries {
		id, err := DictionaryID(dictionary)
		if err != nil {
			return nil, fmt.Errorf("%w (number %d of Dictionaries)", err, i+1)
		}
		if slices.Contains(ids, id) {
			return nil, fmt.Errorf("compress: %w Dictionaries: two of id %d; allowed is one of each", store.ErrInvalid, id)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// missingDictionary returns the error of a load that needs the dictionary id. It is
// neither damage, which would send a Fallback on to an older snapshot, nor absence.
func missingDictionary(id uint32, known []uint32) error {
	there := "which has none"
	if len(known) > 0 {
		there = fmt.Sprintf("which has %d", known)
	}
	return fmt.Errorf("compress: needs the dictionary of id %d, not in Options.Dictionaries, %s: %w", id, there, errors.ErrUnsupported)
}
