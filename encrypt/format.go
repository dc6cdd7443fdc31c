package encrypt

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/snapstack/snapstack/store"
)

// See the package comment.
const (
	version       = 1
	headerSize    = 18
	macSize       = sha256.Size
	tagSize       = 16
	minSealed     = headerSize + xaesNonceSize + tagSize
	minSigned     = headerSize + macSize
	maxMagicWrong = 2
)

var (
	magic      = [8]byte{0x53, 0xC5, 0x5A, 0xA7, 0xB1, 0x0C, 0x5E, 0xA1}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// A header is what stands ahead of a state.
type header struct {
	mode Mode
	key  uint32
}

func (h header) append(b []byte) []byte {
	begin := len(b)
	b = append(append(b, magic[:]...), version, byte(h.mode))
	b = binary.LittleEndian.AppendUint32(b, h.key)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[begin:], castagnoli))
}

// isBlob says whether stored bytes are, or once were, what this package stores: they
// begin with the magic number, but that up to two of its bytes may be others, or one be
// lost or added.
func isBlob(stored []byte) bool {
	if len(stored) < len(magic)+1 {
		return bytes.HasPrefix(stored, magic[:])
	}
	wrong := 0
	for i, b := range magic {
		if stored[i] != b {
			wrong++
		}
	}
	if wrong <= maxMagicWrong {
		return true
	}
	for i := range magic {
		lost := append(bytes.Clone(magic[:i]), magic[i+1:]...)
		added := append(bytes.Clone(stored[:i]), stored[i+1:len(magic)+1]...)
		if bytes.HasPrefix(stored, lost) || bytes.Equal(added, magic[:]) {
			return true
		}
	}
	return false
}

// parseHeader reads the header of a blob.
func parseHeader(blob []byte) (header, error) {
	if len(blob) < headerSize || !bytes.HasPrefix(blob, magic[:]) {
		return header{}, corrupt("the header is damaged")
	}
	if binary.LittleEndian.Uint32(blob[14:]) != crc32.Checksum(blob[:14], castagnoli) {
		return header{}, corrupt("the header's checksum does not match")
	}
	h := header{mode: Mode(blob[9]), key: binary.LittleEndian.Uint32(blob[10:])}
	if blob[8] != version || h.mode != Seal && h.mode != Sign {
		return header{}, fmt.Errorf("encrypt: written by a later version of this package: version %d, mode %d: %w", blob[8], h.mode, errors.ErrUnsupported)
	}
	return h, nil
}

// besides appends what is authenticated beside the blob.
func besides(b []byte, snap store.Snapshot) []byte {
	b = binary.LittleEndian.AppendUint64(b, snap.SequenceNr)
	b = binary.LittleEndian.AppendUint64(b, uint64(snap.Timestamp.UnixMilli()))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(snap.PersistenceID)))
	return append(b, snap.PersistenceID...)
}

// maxBlob is the most that the blob of a state of size bytes takes.
func maxBlob(size int) int { return max(minSealed, minSigned) + size }

// encode returns the blob of a snapshot whose timestamp is set, in the place of dst,
// which has room for it.
func (r *ring) encode(dst []byte, snap store.Snapshot, mode Mode, random io.Reader) ([]byte, error) {
	h := header{mode: mode, key: r.active}
	key, err := r.keyOf(r.active, mode, snap.PersistenceID)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	if mode == Sign {
		blob := append(h.append(dst), snap.State...)
		return appendMAC(blob, key, blob, snap), nil
	}
	blob := h.append(dst)
	nonce := blob[headerSize : headerSize+xaesNonceSize]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("encrypt: no random nonce: %w", err)
	}
	aead, err := newXAES(key, nonce)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	additional := besides(bytes.Clone(blob), snap)
	return aead.Seal(blob[:headerSize+xaesNonceSize], nonce[12:], snap.State, additional), nil
}

// decode appends the state of a blob to dst, or returns the part of the blob that it is
// where that can be read as it stands. Snap is what the store beneath says about it.
func (r *ring) decode(blob []byte, h header, snap store.Snapshot, dst []byte) ([]byte, error) {
	key, err := r.keyOf(h.key, h.mode, snap.PersistenceID)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	if h.mode == Sign {
		if len(blob) < minSigned {
			return nil, corrupt("%d bytes are too few", len(blob))
		}
		signed, mac := blob[:len(blob)-macSize], blob[len(blob)-macSize:]
		if !hmac.Equal(appendMAC(nil, key, signed, snap), mac) {
			return nil, notAuthentic()
		}
		return signed[headerSize:len(signed):len(signed)], nil
	}
	if len(blob) < minSealed {
		return nil, corrupt("%d bytes are too few", len(blob))
	}
	nonce, sealed := blob[headerSize:headerSize+xaesNonceSize], blob[headerSize+xaesNonceSize:]
	aead, err := newXAES(key, nonce)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	state, err := aead.Open(dst, nonce[12:], sealed, besides(bytes.Clone(blob[:headerSize]), snap))
	if err != nil {
		return nil, notAuthentic()
	}
	return state[:len(state):len(state)], nil
}

// appendMAC appends the HMAC of the signed bytes and of what is authenticated besides.
func appendMAC(b []byte, key *[32]byte, signed []byte, snap store.Snapshot) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write(signed)
	mac.Write(besides(nil, snap))
	return mac.Sum(b)
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: encrypt: %s", store.ErrCorrupt, fmt.Sprintf(format, args...))
}

func notAuthentic() error {
	return corrupt("not what was saved under this id, sequence number and time with this key and context")
}
