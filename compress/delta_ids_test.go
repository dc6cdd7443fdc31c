package compress

import (
	"testing"

	"pgregory.net/rapid"
)

// No two ids of the application, and no bases of any, meet in the inner store; and what is
// found there is known again.
func TestStoredIDsNeverMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SampledFrom([]string{"~delta~", "~", "=", "delta", "delta~", "a", "w", "w.1", "!", "é"})
		id := rapid.Custom(func(t *rapid.T) string {
			id := ""
			for _, part := range rapid.SliceOfN(parts, 1, 8).Draw(t, "parts") {
				id += part
			}
			return id
		})
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		stands := map[string]string{}
		for _, id := range []string{a, b} {
			stands[id] = storedID(id)
			if name, ok := nameOf(stands[id]); !ok || name != (storedName{id: id}) {
				t.Fatalf("%q is stored as %q, which is %+v, %v", id, stands[id], name, ok)
			}
			for _, writer := range []string{"w", "w.1", "delta"} {
				base, _ := baseID(writer, id)
				if name, ok := nameOf(base); !ok || name != (storedName{id, writer}) {
					t.Fatalf("the bases of %q by %q stand at %q, which is %+v, %v", id, writer, base, name, ok)
				}
				if base == stands[a] || base == stands[b] {
					t.Fatalf("the bases of %q stand where a snapshot does, at %q", id, base)
				}
			}
		}
		if a != b && stands[a] == stands[b] {
			t.Fatalf("%q and %q are both stored as %q", a, b, stands[a])
		}
	})
}
