// Package compress is the wrapper that stores states compressed with zstd.
//
// What it stores is a legal zstd stream, so `zstd -dc` gives a stored state back
// without this package. Large states are cut into frames that are compressed and
// decompressed in parallel. States too small to shrink are stored as they are,
// behind the same header. Bytes that a store held before the wrapper was added are
// returned as they are: it can be put over a store that is in use. It can't be
// taken away again as easily, since what lies beneath is then compressed.
//
// # Format
//
// A stored state, a blob, is a sequence of zstd frames as in RFC 8878: a skippable
// frame with the header, the frames that hold the state, a skippable frame with
// the checksum. Fixed-size numbers are little-endian; a uvarint is the base-128
// number of encoding/binary.
//
//	header     0   4        5A 2A 4D 18, the magic number of a skippable frame
//	           4   4        bytes in the header from offset 8 on
//	           8   4        53 C5 5A A7, the magic number of this package
//	          12   1        version, 1
//	          13   1        flags, 0; a reader refuses flags that it doesn't know
//	          14   uvarint  bytes in the state
//	               uvarint  bytes in the first frame
//	               ...      and so on for every frame, until the header ends
//	frames                  zstd frames, one after the other
//	trailer    0   4        5A 2A 4D 18
//	           4   4        08 00 00 00
//	           8   4        53 C5 5A A7
//	          12   4        CRC-32C of the blob up to here
//
// The state is what the frames decode to, put together; an empty state has none.
// Each is a frame of one segment, names the size of its content, which is never
// 0, and uses no dictionary. All but the last hold at least 64 KiB. They depend
// on nothing before them. A frame that holds bytes as they are consists of raw
// blocks. What is written today holds 512 KiB to 1 MiB in each frame where there
// are several, and ends every frame but those of states below MinBytes with
// zstd's own checksum of the content; no reader may count on either.
//
// Beside the frames this takes 32 to 39 bytes for a state up to 1 MiB.
//
// Flag 01 is reserved for frames that need a dictionary, which they name by its id
// as RFC 8878 says. Every later version keeps the first 13 bytes and the trailer,
// so that a reader can tell a blob of a version or with flags that it doesn't know
// from a damaged one: the first is an error matching errors.ErrUnsupported, the
// second store.ErrCorrupt.
//
// # What is a blob, and what is an older state
//
// A damaged blob must not be taken for an older, uncompressed state and handed
// out: so whatever bears the traces of a blob is one. Stored bytes count as a blob
// if
//
//   - of the header's bytes 0 to 3 and 8 to 11 at least six stand in place, or
//   - of the trailer's bytes 0 to 11 at least ten stand in place before the last
//     four bytes, or
//   - they are less than a trailer, and either the first 5 bytes or more of a
//     header, its length reaching past the end, or the last 8 or more of a trailer.
//
// Everything else is an older state. A blob is then accepted only if all of it is
// right, checksum included. It follows that flipping, losing, adding or swapping
// any one or two bytes, or any frame, or cutting off either end, is always seen as
// damage. What can't be seen is that bytes are missing when at most the first 4 or
// the last 7 bytes are left, or when both ends are damaged, each in three places
// or more. The only older states that are misread are those which bear the
// traces above. In practice that is the blobs of this package that an application
// had put into its states itself: those are decoded.
package compress
