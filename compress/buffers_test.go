package compress

import "testing"

func TestBuffersAreLargeEnoughAndNotMuchLarger(t *testing.T) {
	var p buffers
	for _, n := range []int{0, 1, 4095, 4096, 4097, 5 << 10, 5<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 7 << 20, 7<<20 + 1} {
		b := p.get(n)
		if len(*b) < n || len(*b) > max(n+n/4, 4096) {
			t.Errorf("get(%d) gave %d bytes", n, len(*b))
		}
		p.put(b)
	}
	for range 100 { // a pool may drop what it was given, but not mix classes up
		small, large := p.get(5000), p.get(1<<20)
		if len(*small) != 5120 || len(*large) != 1<<20 {
			t.Fatalf("get gave %d and %d bytes; want 5120 and %d", len(*small), len(*large), 1<<20)
		}
		p.put(large)
		p.put(small)
	}
}
