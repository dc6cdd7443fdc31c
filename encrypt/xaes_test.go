package encrypt

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The test vectors of https://c2sp.org/XAES-256-GCM.
func TestXAES(t *testing.T) {
	for _, c := range []struct {
		key              byte
		nonce, aad, want string
	}{
		{1, "ABCDEFGHIJKLMNOPQRSTUVWX", "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "ABCDEFGHIJKLMNOPQRSTUVWX", "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		key := [32]byte(bytes.Repeat([]byte{c.key}, 32))
		aead, err := newXAES(&key, []byte(c.nonce))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(aead.Seal(nil, []byte(c.nonce)[12:], []byte("XAES-256-GCM"), []byte(c.aad))); got != c.want {
			t.Errorf("key %d: %s; want %s", c.key, got, c.want)
		}
	}
}
