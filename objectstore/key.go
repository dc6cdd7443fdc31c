package objectstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/snapstack/snapstack/store"
)

const (
	maxSegment = 200 // bytes in a segment of a key: file systems take 255, less what they add
	maxPrefix  = 800 // bytes in a prefix: a key has at most 1024, of which 217 are the store's

	numberDigits = 16
	hashMark     = "_h" // begins no other escape: h is no hex digit
)

// checkPrefix returns an error unless prefix may stand before the keys of a store.
func checkPrefix(prefix string) error {
	const allowed = `allowed is nothing, or segments of 1 to 200 letters, digits, '.', '_' and '-', not "." or "..", each followed by '/', to 800 bytes in all`
	if prefix == "" {
		return nil
	}
	path, ends := strings.CutSuffix(prefix, "/")
	if !ends || len(prefix) > maxPrefix || !isPath(path) {
		return fmt.Errorf("%w Prefix %.100q; %s", store.ErrInvalid, prefix, allowed)
	}
	return nil
}

// isPath says whether path consists of legal segments with "/" between them.
func isPath(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if !isSegment(segment) {
			return false
		}
	}
	return true
}

// isSegment says whether s may be a segment of a key.
func isSegment(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > maxSegment {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// escape returns the segment of a key that stands for the id.
func escape(id string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case plain(c):
			b.WriteByte(c)
		case c == '_':
			b.WriteString("__")
		default:
			b.WriteByte('_')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	if b.Len() > maxSegment {
		sum := sha256.Sum256([]byte(id))
		return hashMark + hex.EncodeToString(sum[:])
	}
	return b.String()
}

// plain says whether c stands for itself in an escape.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
}

// unescape returns the id that segment is the escape of, or hashed where it is
// that of an id which only the envelope tells. It is not ok for what escape never
// returns.
func unescape(segment string) (id string, hashed, ok bool) {
	if sum, marked := strings.CutPrefix(segment, hashMark); marked {
		raw, err := hex.DecodeString(sum)
		return "", true, err == nil && len(raw) == sha256.Size && sum == strings.ToLower(sum)
	}
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		switch rest := segment[i:]; {
		case rest[0] != '_':
			b.WriteByte(rest[0])
		case strings.HasPrefix(rest, "__"):
			b.WriteByte('_')
			i++
		case len(rest) >= 3:
			c, err := strconv.ParseUint(rest[1:3], 16, 8)
			if err != nil {
				return "", false, false
			}
			b.WriteByte(byte(c))
			i += 2
		default:
			return "", false, false
		}
	}
	id = b.String()
	// What is decoded leniently above, as upper-case digits or an escape of a byte
	// that needs none, does not come out of escape again.
	if store.CheckID(id) != nil || escape(id) != segment {
		return "", false, false
	}
	return id, false, true
}

// number returns the last segment of the keys of sequenceNr.
func number(sequenceNr uint64) string {
	return fmt.Sprintf("%0*x", numberDigits, math.MaxInt64-sequenceNr)
}

// parseNumber is the inverse of number; it is not ok for what number never returns.
func parseNumber(segment string) (sequenceNr uint64, ok bool) {
	inverted, err := strconv.ParseUint(segment, 16, 63)
	if err != nil {
		return 0, false
	}
	sequenceNr = math.MaxInt64 - inverted
	return sequenceNr, number(sequenceNr) == segment
}
