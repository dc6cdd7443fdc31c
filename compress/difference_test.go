package compress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// edited returns state with a share of it changed in places of up to 64 bytes: replaced,
// removed, doubled.
func edited(state []byte, share float64, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	if share >= 1 {
		other := make([]byte, len(state))
		for i := range other {
			other[i] = byte('a' + random.IntN(26))
		}
		return other
	}
	var out []byte
	const place = 32.0 // bytes on average
	for at := 0; at < len(state); {
		run := len(state)
		if share > 0 {
			run = int(random.ExpFloat64() * place * (1 - share) / share)
		}
		end := min(at+run, len(state))
		out = append(out, state[at:end]...)
		at = end
		n := 1 + random.IntN(64)
		switch random.IntN(3) {
		case 0:
			for range min(n, len(state)-at) {
				out = append(out, byte('0'+random.IntN(10)))
			}
			at += n
		case 1:
			at += n
		default:
			out = append(out, state[max(at-n, 0):at]...)
		}
	}
	return out
}

func records(size int) []byte {
	var state []byte
	for i := 0; len(state) < size; i++ {
		state = fmt.Appendf(state, `{"id":"%08x","booked":"2026-%02d-%02d","amount":%d.%02d,"open":%t},`, uint32(i)*2654435761, i%12+1, i%28+1, i*7919%10000, i%100, i%3 == 0)
	}
	return state[:size]
}

func TestDifferenceRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 31, 32, 33, 1000, 64 << 10, 1 << 20} {
		base := records(size)
		x := newBlockIndex(base)
		for name, state := range map[string][]byte{
			"same":          base,
			"empty":         {},
			"a byte":        []byte("x"),
			"shorter":       base[:size/2],
			"longer":        append(bytes.Clone(base), "and more"...),
			"in front":      append([]byte("before "), base...),
			"1 %":           edited(base, 0.01, 1),
			"10 %":          edited(base, 0.1, 2),
			"all":           edited(base, 1, 3),
			"halves turned": append(bytes.Clone(base[size/2:]), base[:size/2]...),
			"twice":         append(bytes.Clone(base), base...),
		} {
			d, ok := x.differ(state, 2*len(state)+100)
			if !ok {
				t.Errorf("%s of %d bytes: no difference", name, size)
				continue
			}
			got := make([]byte, len(state))
			if err := d.apply(got, base); err != nil || !bytes.Equal(got, state) {
				t.Errorf("%s of %d bytes: %v", name, size, err)
			}
		}
	}
}

func TestDifferencesAreSmall(t *testing.T) {
	base := records(1 << 20)
	x := newBlockIndex(base)
	for _, test := range []struct {
		state []byte
		most  float64 // of its size
	}{
		{base, 0.0001},
		{append([]byte("x"), base...), 0.0001},
		{append(bytes.Clone(base[500_000:]), base[:500_000]...), 0.0001},
		{edited(base, 0.001, 1), 0.004},
		{edited(base, 0.01, 1), 0.03},
		{edited(base, 0.1, 1), 0.25},
	} {
		d, ok := x.differ(test.state, len(test.state))
		share := float64(len(d.steps)+len(d.literals)) / float64(len(test.state))
		if !ok || share > test.most {
			t.Errorf("%v, %.4f of the state; want at most %v", ok, share, test.most)
		}
	}
	if _, ok := x.differ(edited(base, 1, 1), len(base)/2); ok {
		t.Error("a state that has nothing of its base has a small difference")
	}
}

// What a difference finds of 32 bytes, it finds wherever they went and however much of
// something else comes first.
func TestDifferenceFindsAgainAfterLongChanges(t *testing.T) {
	base := records(1 << 20)
	x := newBlockIndex(base)
	for shift := range 40 {
		state := append(edited(base[:300_000+shift], 1, uint64(shift)), base[100_003:]...)
		d, ok := x.differ(state, len(state))
		if over := len(d.literals) - 300_000 - shift; !ok || over > 1000 {
			t.Errorf("shifted by %d: %v, %d literals too many", shift, ok, over)
		}
	}
}

func TestApplyRefusesWhatIsWrong(t *testing.T) {
	base := []byte("0123456789")
	number := func(numbers ...int64) []byte {
		var b []byte
		for i, n := range numbers {
			if i%3 == 2 {
				b = binary.AppendVarint(b, n)
			} else {
				b = binary.AppendUvarint(b, uint64(n))
			}
		}
		return b
	}
	for name, test := range map[string]struct {
		d    difference
		size int
	}{
		"nothing for a state":      {difference{}, 1},
		"too short":                {difference{number(0, 5, 0), nil}, 6},
		"too long":                 {difference{number(0, 5, 0), nil}, 4},
		"literals missing":         {difference{number(3, 0, 0), []byte("ab")}, 3},
		"literals left":            {difference{number(1, 0, 0), []byte("ab")}, 1},
		"before the base":          {difference{number(0, 5, -1), nil}, 5},
		"behind the base":          {difference{number(0, 5, 6), nil}, 5},
		"far behind":               {difference{number(0, 5, 1<<62), nil}, 5},
		"far before":               {difference{number(0, 5, -1<<62), nil}, 5},
		"longer than anything":     {difference{number(0, -1, 0), nil}, 5},
		"literals without end":     {difference{number(-1, 0, 0), nil}, 5},
		"a step that does nothing": {difference{append(number(0, 0, 0), number(0, 5, 0)...), nil}, 5},
		"cut short":                {difference{number(0, 5), nil}, 5},
		"cut shorter":              {difference{number(0), nil}, 5},
		"not a number":             {difference{bytes.Repeat([]byte{0xff}, 11), nil}, 5},
	} {
		if err := test.d.apply(make([]byte, test.size), base); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzApply(f *testing.F) {
	base := records(3000)
	d, _ := newBlockIndex(base).differ(edited(base, 0.1, 1), 3000)
	f.Add(d.steps, d.literals, base, 2900)
	f.Add([]byte{0, 5, 0}, []byte{}, []byte("0123456789"), 5)
	f.Fuzz(func(t *testing.T, steps, literals, base []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		_ = difference{steps, literals}.apply(make([]byte, size), base) // must not panic
	})
}

func FuzzDiffer(f *testing.F) {
	base := records(300)
	f.Add(base, edited(base, 0.1, 1), 100)
	f.Add([]byte{}, []byte("x"), 0)
	f.Fuzz(func(t *testing.T, base, state []byte, most int) {
		d, ok := newBlockIndex(base).differ(state, most)
		if !ok {
			return
		}
		if len(d.steps)+len(d.literals) > most {
			t.Fatalf("%d and %d bytes; allowed were %d", len(d.steps), len(d.literals), most)
		}
		got := make([]byte, len(state))
		if err := d.apply(got, base); err != nil || !bytes.Equal(got, state) {
			t.Fatalf("%v, %q; want %q", err, got, state)
		}
	})
}

func BenchmarkDifference(b *testing.B) {
	base := records(8 << 20)
	x := newBlockIndex(base)
	b.Run("index", func(b *testing.B) {
		b.SetBytes(int64(len(base)))
		for b.Loop() {
			newBlockIndex(base)
		}
	})
	for _, share := range []float64{0, 0.001, 0.01, 0.1, 1} {
		state := edited(base, share, 1)
		b.Run(fmt.Sprint("differ/", share), func(b *testing.B) {
			b.SetBytes(int64(len(state)))
			n := 0
			for b.Loop() {
				d, _ := x.differ(state, len(state)/4)
				n = len(d.steps) + len(d.literals)
			}
			b.ReportMetric(float64(n)/float64(len(state)), "share")
		})
		if d, ok := x.differ(state, len(state)); ok {
			dst := make([]byte, len(state))
			b.Run(fmt.Sprint("apply/", share), func(b *testing.B) {
				b.SetBytes(int64(len(state)))
				for b.Loop() {
					if err := d.apply(dst, base); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A difference of as many bytes as are allowed is found, one of a byte more is not, and to
// find out so takes no memory to speak of, also where there is nothing but steps.
func TestDifferKeepsToItsBound(t *testing.T) {
	base := records(4 << 20)
	x := newBlockIndex(base)
	for name, state := range map[string][]byte{
		"same": base, "1 %": edited(base, 0.01, 1), "10 %": edited(base, 0.1, 2), "turned": append(bytes.Clone(base[1<<20:]), base[:1<<20]...),
	} {
		d, ok := x.differ(state, len(state))
		size := len(d.steps) + len(d.literals)
		if !ok {
			t.Fatalf("%s: no difference", name)
		}
		if _, ok := x.differ(state, size); !ok {
			t.Errorf("%s: no difference of %d bytes, as many as it has", name, size)
		}
		if _, ok := x.differ(state, size-1); ok {
			t.Errorf("%s: a difference of less than %d bytes", name, size)
		}
	}

	chaos := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{}).Read(chaos) // never fails
	var blocks []byte
	for i := range len(chaos) / blockSize {
		at := i * 7919 % (len(chaos) / blockSize) * blockSize
		blocks = append(blocks, chaos[at:at+blockSize]...)
	}
	x = newBlockIndex(chaos)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, ok := x.differ(blocks, len(blocks)/100); ok {
		t.Error("blocks in another order have a small difference")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(len(blocks))/2 {
		t.Errorf("that took %d bytes for a state of %d", took, len(blocks))
	}
}
