package encrypt_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/snapstack/snapstack/store"
)

// discard is a store that keeps the first blob and takes no time.
type discard struct {
	store.SnapshotStore
	snap store.Snapshot
}

func (d *discard) Save(_ context.Context, snap store.Snapshot) error {
	if d.snap.State == nil {
		snap.State = slices.Clone(snap.State)
		d.snap = snap
	}
	return nil
}

func (d *discard) ViewLatest(_ context.Context, _ string, view func(store.Snapshot) error) error {
	return view(d.snap)
}

// BenchmarkToBareAEAD compares Save and ViewLatest with Seal and Open of a bare AES-GCM
// with a random nonce, in turns, so that what disturbs the machine disturbs both, and
// reports the median of the ratios.
func BenchmarkToBareAEAD(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20, 8 << 20} {
		state := make([]byte, size)
		inner := &discard{}
		s := mustNew(b, inner, options(1))
		snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: 5, Timestamp: time.UnixMilli(1000), State: state}
		if err := s.Save(b.Context(), snap); err != nil {
			b.Fatal(err)
		}
		nonce := make([]byte, aead.NonceSize())
		sealed := aead.Seal(nil, nonce, state, nil)
		for _, op := range []struct {
			name           string
			baseline, call func() error
		}{
			{"Save", func() error {
				if _, err := rand.Read(nonce); err != nil {
					return err
				}
				_ = aead.Seal(make([]byte, 0, size+aead.Overhead()), nonce, state, nil)
				return nil
			}, func() error { return s.Save(b.Context(), snap) }},
			{"View", func() error {
				_, err := aead.Open(make([]byte, 0, size), make([]byte, aead.NonceSize()), sealed, nil)
				return err
			}, func() error {
				return s.ViewLatest(b.Context(), "order-1", func(store.Snapshot) error { return nil })
			}},
		} {
			b.Run(fmt.Sprintf("%s/state=%d", op.name, size), func(b *testing.B) {
				turn := max(1, (4<<20)/size)
				timed := func(call func() error) float64 {
					begin := time.Now()
					for range turn {
						if err := call(); err != nil {
							b.Fatal(err)
						}
					}
					return float64(time.Since(begin).Nanoseconds()) / float64(turn)
				}
				var ours, ratios []float64
				for n := 0; n < b.N || n == 0; n += turn {
					bare := timed(op.baseline)
					ours = append(ours, timed(op.call))
					ratios = append(ratios, ours[len(ours)-1]/bare)
				}
				slices.Sort(ours)
				slices.Sort(ratios)
				b.ReportMetric(ours[len(ours)/2], "ns/op")
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
			})
		}
	}
}
