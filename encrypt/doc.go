// Package encrypt is the wrapper for states that whoever holds the disk or the bucket
// must not be able to read, or to alter unnoticed.
//
// It stores each state sealed with AES-256-GCM, or, with Sign, readable behind an
// HMAC-SHA256. Either way what is stored is bound to its persistence id, its sequence
// number and its timestamp: a state that was altered, or copied to another id or
// number, is store.ErrCorrupt.
//
// It does not hide which ids there are, how many snapshots of each, their numbers,
// times and lengths. Nor can it notice that the newest snapshots were taken away, or
// put back as they once were: whoever holds the disk can bring back an old state at its
// own number.
//
// # Keys
//
// Master keys have numbers. New states use the key with the highest number; those of
// the others can be read as long as their key is in the ring. A key that is missing is
// an error that matches errors.ErrUnsupported and names the number: nothing is damaged,
// and a store.Fallback must not pass over it. To rotate, add a key with a higher
// number, call Reload in every process, then Rewrap, and take the old key away once
// that reports that nothing is left under it.
//
// A master key and the Context give HKDF-SHA256 (RFC 5869) its input and salt; the
// result is all that is kept in memory. From that a key is derived for each operation,
// with the info "snapstack encrypt v1", a byte for the mode and the persistence id, and
// cleared after it. What was read of the key's text is cleared, too, though Go may have
// left copies where nobody can clear them. Nothing of a key is ever printed.
//
// # Bounds
//
// The cipher is XAES-256-GCM (https://c2sp.org/XAES-256-GCM): of a random nonce of 24
// bytes the first 12 turn the key of the id into one for this write, by AES alone, and
// the others are the nonce of AES-256-GCM under that. So nonces may be random and need
// not be counted: for the odds of a repetition to reach 2^-32 it takes 2^80 writes of
// one id under one master key, where AES-256-GCM alone would allow 2^32. A state may be
// up to 64 GiB less 32 bytes long, more than any backend takes.
//
// # Format
//
// Numbers are little-endian.
//
//	 0   8     53 C5 5A A7 B1 0C 5E A1, the magic number of this package
//	 8   1     version, 1
//	 9   1     mode: 1 sealed, 2 signed
//	10   4     number of the master key
//	14   4     CRC-32C of bytes 0 to 13, to tell damage from a key that is missing
//	sealed:
//	18   24    nonce
//	42         ciphertext, as long as the state
//	     16    tag
//	signed:
//	18         state
//	     32    HMAC-SHA256 of all up to here, and of what is authenticated besides
//
// Authenticated besides, as the additional data of GCM behind bytes 0 to 17, and at the
// end of what the HMAC is of, are:
//
//	8     sequence number
//	8     timestamp in Unix milliseconds
//	2     bytes in the persistence id
//	      persistence id
//
// Later versions keep the first 18 bytes; a version not known here is an error that
// matches errors.ErrUnsupported.
//
// # Adoption
//
// States from before the wrapper was added are refused, as store.ErrCorrupt. With
// Options.Migrate they are accepted, and so are signed ones where sealed are wanted;
// Stats counts them, and Rewrap turns them into what is wanted. While the option is
// set whoever can write to the disk can put any state there, so take it away soon.
// What begins with the magic number but for two other bytes, or a lost or added one, is
// held to be damaged all the same, and not for a plain state.
//
// # Order
//
// Compression belongs outside of encrypt: what is sealed does not shrink. A cache
// outside of it holds readable states in memory; one beneath holds sealed ones, and
// pays for opening them at every hit.
//
// # Dependencies
//
// All cryptography is the standard library's. The locks that keep Rewrap and writers of
// one id apart are golang.org/x/sync/semaphore's, which know contexts.
package encrypt
