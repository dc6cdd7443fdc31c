// Package compress is the wrapper that stores states compressed with zstd.
//
// What it stores is a legal zstd stream, so `zstd -dc` gives a stored state back
// without this package. Large states are cut into frames that are compressed and
// decompressed in parallel. What is too small to shrink, or a sample shows to be
// incompressible, is stored as it is, behind the same header and checksum. Many
// small states that resemble each other shrink with a dictionary: see Train.
//
// [Delta] is a wrapper of its own, for large states that change little from one snapshot
// to the next: it stores the difference from an earlier state. It compresses nothing
// and belongs outside of zstd, which then compresses bases and differences alike.
//
// Bytes that a store held before the wrapper was added are returned as they are: it
// can be put over a store that is in use. It can't be taken away again as easily,
// since what lies beneath is then compressed.
//
// # Memory
//
// A Store keeps an encoder for each of Options.Concurrency once it is needed: of 3 MB
// at level Fastest, 4 at Default, 7 at Better and 39 at Best; a dictionary of
// 64 KiB adds 1.5 MB at Fastest, 3.5 at Default and 9.5 at the others. Everything else
// is buffers, in a pool that the garbage collector empties. While states of several
// frames are saved they are Concurrency times 1 MiB, over all callers, and for each
// caller about twice the size of its blob; while one is viewed, the size of the
// state. So a burst of states of 8 MB leaves nothing behind but the encoders.
//
// LoadLatest and LoadBefore allocate the state once, exactly as large as it is. Save
// and ViewLatest allocate nothing that grows with it.
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
//	          13   1        flags: 01 if any frame names a dictionary, else 00; a
//	                        reader refuses flags that it doesn't know
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
// Each is a frame of one segment and names the size of its content, which is never
// 0. All but the last hold at least 64 KiB. They depend on nothing before them. A
// frame that holds bytes as they are consists of raw blocks. What is written today
// holds 512 KiB to 1 MiB in each frame where there are several, and ends every
// frame that is compressed with zstd's own checksum of the content; no reader may
// count on either.
//
// Beside the frames this takes 31 to 36 bytes for a state of up to 1 MiB.
//
// A frame that was compressed with a dictionary names its id in the field that zstd
// has for it, little-endian, where bits 0 and 1 of byte 4 of the frame say how long
// it is (RFC 8878, 3.1.1.1.3):
//
//	frame      0   4        28 B5 2F FD, the magic number of a zstd frame
//	           4   1        descriptor; bits 0 and 1: 0 for no id, 1, 2 and 3 for
//	                        an id of 1, 2 and 4 bytes; bit 5, one segment, is set
//	           5   0 to 4   id of the dictionary
//	               1 to 8   size of the content, and so on as in any zstd frame
//
// The flag is there for readers older than dictionaries: they refuse the blob
// instead of calling it damaged. It stands if and only if a frame names an id other
// than 0. The dictionaries themselves are in zstd's own format (RFC 8878, 5), and
// `zstd -D dictionary -dc` gives the state back.
//
// Every later version keeps the first 13 bytes and the trailer, so that a reader
// can tell a blob of a version or with flags that it doesn't know from a damaged
// one: the first is an error matching errors.ErrUnsupported, the second
// store.ErrCorrupt.
//
// The frames are verified twice, by the checksum of the blob before anything is decoded
// and by zstd's of the content. The second is what sees that a dictionary has the
// right id and the wrong content.
//
// # Blobs and older states
//
// A damaged blob must not pass for an older, uncompressed state and be handed out.
// So a blob leaves traces of itself at both ends, and whatever bears those of one
// end counts as a blob:
//
//   - of the header's bytes 0 to 3 and 8 to 11, at least six stand in place; or
//   - of the trailer's bytes 0 to 11, at least ten stand in place, four bytes
//     before the end; or
//   - too short for either, it is the first 5 to 11 bytes of a header, whose length
//     then reaches past the end, or the last 8 to 15 of a trailer.
//
// Everything else is an older state. A blob is accepted only if all of it is right,
// the checksum included, and is ErrCorrupt otherwise. So damage is seen
//
//   - if any two bytes are flipped or swapped, or one is lost or added;
//   - if any frame, header and trailer included, is lost, added or swapped with
//     another;
//   - if anything at all happens beyond the first 12 bytes, or before the last 16.
//
// It is not seen where both ends are lost, or where nothing is left but the first 4
// bytes or the last 7: those could be a state of any application. (As to what the
// checksum does not always see, which is damage of more than 32 bits in a row, it
// misses one case in four billion, and then there is zstd's own.)
//
// The older states that are misread are those which bear such traces. In practice
// these are blobs of this package that the application had put into its states
// itself: they are decoded. A state that was saved through the wrapper may be
// anything.
//
// # Delta: what is stored where
//
// A snapshot of a Delta is stored under its own id and number, whole or as the
// difference from a base. A base is the state of some snapshot, whole, under an id of its
// own: the bases that a writer made of the entity order-42 are snapshots of
//
//	order-42~delta~WRITER
//
// numbered by when they were made: milliseconds since 1970 in the upper bits and 20 bits
// that tell those of one millisecond apart. Every difference is from a base, none from
// another difference, so that a load is one snapshot and at most one base. As bases
// have ids of their own, Keep and Delete can't meet them, and saving a number again
// replaces no base. A store.Route by prefix beneath the Delta has them where it has the
// snapshots; one by function must see to that itself.
//
// An id of the application that ends like one of a base, in ~delta~ and a name or an equals
// sign, is stored with ~delta~= behind it; what the inner store held under such an id before
// the wrapper is out of its reach. An id whose bases would have ids over store.MaxIDBytes has
// none, nor one for whose bases the inner store has no place: its snapshots are stored whole.
//
// A Delta saves differences from bases of its own alone, and only it removes those (Sweep
// apart): while no other call of it writes the id it finds out which of them the snapshots
// that are left still need, and removes those that are older than all of these. No other
// process can write a snapshot that needs one. So two processes may save, delete and prune
// the same ids over one store, and no snapshot loses its base, without a lock in the store.
// The price is that a Delta begins every id with a new base, unless it has a name
// (DeltaOptions.Writer) and meets its own, and that the bases which the snapshots of a Delta
// that is no more needed last stay when these are gone: see Sweep.
//
// A Save whose outcome is unknown may come to be stored after it returned. Its base is kept
// for an hour, by the Delta that it was called on. It is not kept by a later one of the same
// Writer: a process that was killed in a Save should be given the time that its last
// requests may take before another goes on in its name.
//
// A base that is missing all the same, or another one than the difference was made from, or
// damaged, makes its snapshots store.ErrCorrupt: a store.Fallback outside of the Delta
// then finds the newest that is intact.
//
// # Delta: the format
//
// A record is what stands under an id in the inner store. Numbers are as above; a varint
// is the zigzag number of encoding/binary; XXH64 is that of https://xxhash.com with
// seed 0.
//
//	start      0   8        89 64 4C 74 0D 0A 1A E7, the magic number
//	           8   1        version, 1
//	           9   1        kind: 1 a whole snapshot, 2 a difference, 3 a base
//	          10   uvarint  bytes in the state
//	kinds 1, 3     ...      the state
//	kind 2         uvarint  bytes in the name of the writer of the base: 1 to 64
//	               ...      the name: letters, digits, "-", "_" and "."
//	               8        number of the base
//	               8        XXH64 of the base's state
//	               8        XXH64 of the state
//	               uvarint  bytes in the steps
//	               ...      the steps
//	               ...      the literals, up to the end
//	end        0   4        CRC-32C of the record up to here
//	           4   8        E7 65 6E 64 0A 00 D1 89
//
// A step is three numbers: a uvarint, how many of the literals come next; a uvarint, how
// many bytes of the base follow them; and a varint, where in the base those begin, relative
// to the end of those of the step before, or 0, plus the number of literals of this
// step. The steps give the state from its beginning to its end and use up the literals. A
// step with no bytes of the base moves nothing, and none is empty.
//
// Bytes that neither begin with the magic number nor end with the last eight bytes,
// of either of which six in place are enough, are a state from before the wrapper and
// come back as they are; so does what is shorter than the magic number and no
// beginning of it of four bytes or more. Everything else is a record, and is ErrCorrupt
// unless all of it is right. A record of a later version is an error that matches
// errors.ErrUnsupported.
//
// Of the libraries used, klauspost/compress/zstd is zstd in Go, and cespare/xxhash the
// checksum that names states.
package compress
