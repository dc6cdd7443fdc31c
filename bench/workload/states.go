package workload

import (
	"encoding/binary"
	"math"
	"sync"
)

// A source says which state an entity has at a sequence number, so that a load can be
// checked without a log of the saves.
type source struct {
	states [][]byte

	// Where period is 0, numbers that follow each other have different states, if there
	// is more than one. Otherwise an entity has one of the states, of which at every
	// number one in so many blocks changes, each in its turn.
	period uint64

	buffers sync.Pool // of *[]byte, for states that are put together
}

// changeBlock is how many bytes change together.
const changeBlock = 64

func newSource(states [][]byte, change float64) *source {
	s := &source{states: states}
	if change > 0 {
		s.period = max(1, uint64(math.Round(1/change)))
	}
	return s
}

// size returns the length of the state of an entity at a number.
func (s *source) size(e *entity, nr uint64) int { return len(s.of(e, nr)) }

// of returns the state that the one of the entity at a number is, or is made from.
func (s *source) of(e *entity, nr uint64) []byte {
	if s.period != 0 {
		nr = 0
	}
	return s.states[(uint64(e.number)+nr)%uint64(len(s.states))]
}

// use calls with with the state of an entity at a number, which is not valid any longer
// than that.
func (s *source) use(e *entity, nr uint64, with func(state []byte)) {
	origin := s.of(e, nr)
	if s.period == 0 {
		with(origin)
		return
	}
	buffer, ok := s.buffers.Get().(*[]byte)
	if !ok || cap(*buffer) < len(origin) {
		buffer = new([]byte)
		*buffer = make([]byte, len(origin))
	}
	state := (*buffer)[:len(origin)]
	copy(state, origin)
	for i := range (len(state) + changeBlock - 1) / changeBlock {
		block := uint64(e.number)<<32 | uint64(i)
		turn := mixed(block) % s.period
		// How often the block has had its turn: at turn+1, turn+1+period and so on.
		if times := (nr + s.period - 1 - turn) / s.period; times > 0 {
			scribble(state[i*changeBlock:min((i+1)*changeBlock, len(state))], mixed(block^times<<40))
		}
	}
	with(state)
	s.buffers.Put(buffer)
}

// scribble fills a block with hexadecimal digits that follow from seed.
func scribble(block []byte, seed uint64) {
	for len(block) > 0 {
		var digits [16]byte
		seed = mixed(seed)
		for i := range digits {
			digits[i] = "0123456789abcdef"[seed>>(4*i)&15]
		}
		block = block[copy(block, digits[:]):]
	}
}

// mixed returns a number that follows from x and looks like chance (splitmix64, Steele
// et al. 2014).
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// noise fills b with bytes that follow from seed and don't shrink.
func noise(b []byte, seed uint64) {
	for len(b) > 0 {
		seed = mixed(seed)
		var bytes [8]byte
		binary.LittleEndian.PutUint64(bytes[:], seed)
		b = b[copy(b, bytes[:]):]
	}
}
