package compress

import "encoding/binary"

const (
	segmentHash     = 8 // bytes that are looked at as one
	segmentHashBits = 20
)

// A selection picks from samples what is worth having in a dictionary: the segments
// that cover the most, and the most frequent, of the strings of 8 bytes that
// several samples share. This is the idea of COVER (Liao, Petri, Moffat, Wirth:
// Effective Construction of Relative Lempel-Ziv Dictionaries, 2016), which zstd's
// own trainer follows too, with hashes in the place of the strings.
type selection struct {
	text  []byte   // the samples, one after the other
	worth []uint32 // by hash: the samples that have the string, 0 if it is one, or once it is covered
	held  []uint16 // by hash: how often the window at hand has the string
}

// selectContent returns up to size bytes, in segments of up to that length. The most
// valuable stands last, where it is nearest to a state.
func selectContent(samples [][]byte, segment, size int) []byte {
	s := newSelection(samples)
	positions := len(s.text) - segmentHash + 1
	if positions <= 0 {
		return nil
	}
	// Each segment is the best one of a part of the text, in turns: looking through all
	// of it for each would take far longer and finds little better.
	parts := max(1, min(size/segment/4, positions/(10*segment)))
	content := make([]byte, size)
	free := size // of content, at its beginning
	for turn, barren := 0, 0; free > 0 && barren < parts; turn = (turn + 1) % parts {
		found := s.best(part(positions, turn, parts), part(positions, turn+1, parts), segment-segmentHash+1)
		if len(found) == 0 {
			barren++
			continue
		}
		barren = 0
		found = found[max(len(found)-free, 0):]
		free -= len(found)
		copy(content[free:], found)
	}
	return content[free:]
}

func newSelection(samples [][]byte) *selection {
	total := 0
	for _, sample := range samples {
		total += len(sample)
	}
	s := &selection{
		text:  make([]byte, 0, total),
		worth: make([]uint32, 1<<segmentHashBits),
		held:  make([]uint16, 1<<segmentHashBits),
	}
	lastSeen := make([]int32, 1<<segmentHashBits) // by hash: the number of a sample, from 1 on
	for i, sample := range samples {
		start := len(s.text)
		s.text = append(s.text, sample...)
		for at := start; at+segmentHash <= len(s.text); at++ {
			if h := s.hash(at); lastSeen[h] != int32(i+1) {
				lastSeen[h] = int32(i + 1)
				s.worth[h]++
			}
		}
	}
	for h, samples := range s.worth {
		if samples == 1 {
			s.worth[h] = 0
		}
	}
	return s
}

// best returns the segment of up to length strings, among those that begin at from
// to to-1, that is worth most, and makes it worth nothing. It is empty where nothing
// is worth anything.
func (s *selection) best(from, to, length int) []byte {
	var worth, most uint64
	start, bestStart := from, from
	for at := from; at < to; at++ {
		h := s.hash(at)
		if s.held[h] == 0 {
			worth += uint64(s.worth[h])
		}
		s.held[h]++
		if at-start == length {
			h := s.hash(start)
			s.held[h]--
			if s.held[h] == 0 {
				worth -= uint64(s.worth[h])
			}
			start++
		}
		if worth > most {
			most, bestStart = worth, start
		}
	}
	for ; start < to; start++ {
		s.held[s.hash(start)] = 0
	}
	if most == 0 {
		return nil
	}
	start, end := bestStart, min(bestStart+length, to)
	for s.worth[s.hash(start)] == 0 {
		start++
	}
	for s.worth[s.hash(end-1)] == 0 {
		end--
	}
	for at := start; at < end; at++ {
		s.worth[s.hash(at)] = 0
	}
	return s.text[start : end-1+segmentHash]
}

// hash returns the hash of the string at a position.
func (s *selection) hash(at int) uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio, which spreads well (Knuth, 6.4)
	return binary.LittleEndian.Uint64(s.text[at:]) * golden >> (64 - segmentHashBits)
}
