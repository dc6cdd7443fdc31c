package encrypt

import (
	"crypto/aes"
	"crypto/cipher"
)

const xaesNonceSize = 24

// newXAES returns the AES-256-GCM of one message under XAES-256-GCM, whose nonce is then
// the last 12 bytes of nonce: see https://c2sp.org/XAES-256-GCM.
func newXAES(key *[32]byte, nonce []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	// K1 of CMAC (NIST SP 800-38B, 6.1).
	var k1 [aes.BlockSize]byte
	block.Encrypt(k1[:], k1[:])
	var carry byte
	for i := len(k1) - 1; i >= 0; i-- {
		k1[i], carry = k1[i]<<1|carry, k1[i]>>7
	}
	k1[len(k1)-1] ^= carry * 0b10000111

	var derived [32]byte
	defer clear(derived[:])
	for half := range 2 {
		m := derived[half*aes.BlockSize:][:aes.BlockSize]
		copy(m, []byte{0, byte(half + 1), 'X', 0})
		copy(m[4:], nonce[:12])
		for i := range m {
			m[i] ^= k1[i]
		}
		block.Encrypt(m, m)
	}
	block, err = aes.NewCipher(derived[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
