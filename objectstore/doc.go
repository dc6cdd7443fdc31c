// Package objectstore is the backend that keeps snapshots as objects in a bucket:
// the store to share between machines. A [Bucket] is a narrow interface in the
// terms of the S3 API. Three ship: [NewMemoryBucket] for tests, [OpenDirectory] for
// a durable directory, and package objectstore/s3 for S3 and what speaks it.
//
// # Keys
//
// Every snapshot is one object, whose key is
//
//	<prefix><escaped id>/<MaxInt64 - sequence number, as 16 lower-case hex digits>
//
// so that a listing of an id is newest first: the latest snapshot is found by one
// LIST of one key, however many snapshots and ids there are. The escape leaves the
// bytes a-z, 0-9 and - as they are, writes _ as __ and every other byte as _ and
// its two lower-case hex digits: order-7 stays order-7, Order/7 becomes
// _4frder_2f7. An escaped id of more than 200 bytes gives way to _h and the SHA-256
// of the id in 64 lower-case hex digits. No two ids share an escape, also where
// the case of letters is ignored, and no key is a path prefix of another. A prefix is
// used as it is, though: where case is ignored, two that differ in it alone are one.
//
// Keys under the prefix that are not of this form are not the store's: it neither
// counts nor deletes them. A store whose prefix lies within that of another is
// allowed, but an id of the outer one whose escape begins the inner prefix then
// has keys to skip at every load.
//
// # Objects
//
// An object is an envelope and the state behind it. The envelope is a skippable
// frame of the zstd format (RFC 8878), so `zstd -dc` of an object whose state is a
// zstd stream gives what that stream holds. Numbers are little-endian.
//
//	 0   4  5B 2A 4D 18, the magic number of a skippable frame
//	 4   4  bytes in the envelope from offset 8 on: 40 + n
//	 8   4  53 6E 61 70, "Snap", the magic number of this format
//	12   1  version, 1
//	13   1  flags, 0
//	14   2  n, the bytes in the id: 1 to 1024
//	16   8  sequence number
//	24   8  timestamp, signed Unix milliseconds
//	32   8  bytes in the state
//	40   4  CRC-32C of the state
//	44   n  id
//	44+n 4  CRC-32C of the envelope up to here
//	48+n    the state, to the end of the object
//
// A load checks both sums, all lengths, and the id and sequence number against the
// key: an object that was cut, extended, altered or copied to another key is
// store.ErrCorrupt. Every later version keeps bytes 0 to 12 and the sum at the end
// of the frame, so that an intact object of a version or with flags not known here
// is told from a damaged one: its error matches errors.ErrUnsupported.
//
// # Requests
//
//	Save                     1 put; with Keep also 1 list, and 1 delete when anything is to go,
//	                         which with PruneAsync come after it, once for several Saves
//	LoadLatest, LoadBefore   1 list of one key and 1 get; 1 list where nothing is found
//	Delete                   1 list and 1 delete for every 1000 snapshots that go
//	List                     1 list for every page of the bucket's; 1 get for each id that is hashed
//
// Save with a Keep over 1000 or with a backlog of more than 1000 snapshots to prune
// takes a list and a delete for each 1000. None of this depends on how many snapshots,
// ids or prefixes the bucket holds. A load whose object is replaced or
// removed between its two requests makes them again.
//
// # Consistency
//
// Through one Store, Save, Delete and the loads of an id are linearizable if the
// bucket keeps the duties written at Bucket. For that the writes of one id wait for
// each other, and its loads wait for a Delete, but never for a Save or a prune. A
// load that a Save overtakes may take a list or two more.
//
// Stores in several processes may share a bucket and a prefix. Each object is whole,
// also where two of them save at one number: one replaces the other, or with
// Options.CreateOnly one fails with [ErrExists]. A Save that failed otherwise may have
// stored its snapshot, so when it is repeated, ErrExists may tell of itself. A load
// sees every Save that had returned before it began, whoever made it.
// For the other processes, Delete and pruning are not one step, though: what one of
// them saves at a number that is being deleted or pruned may stay or go. And where
// the listings of a service are not of one moment (S3 does not say), a load that
// another process overtakes with a Save and its prune may find nothing.
//
// # Scale
//
// A million ids with a state of 1 KiB each are in S3, where a request takes 20 ms and a
// partition, which is a range of keys, answers 5,500 reads (gets and lists) and 3,500
// writes a second. A program that starts again and loads all of them takes
//
//	loads at once   partitions      takes   costs
//	            1            1   40,012 s   $5.40
//	           16            1    2,501 s   $5.40
//	           64            1      625 s   $5.40
//	          110            1      364 s   $5.40
//	          400            4      100 s   $5.40
//
// Up to 110 loads at once it is latency that limits, and from there on the 5,500 reads,
// of which a load is two. More at once make it slower and dearer: 256 of them on one
// partition, each made anew as soon as it is refused, take about 600 s and cost about
// $12, for a list is paid for whose get is refused. [store.NewLimit] keeps loads from
// that, by default at 64; the client of package objectstore/s3 makes a refused request
// again after a pause, and gives up after a few with an error that matches
// [ErrThrottled]. What is loaded once needs no request again under package cache.
//
// To save each of them once, where Keep costs a list and a delete, takes
//
//	saves at once   Keep   takes    costs
//	           70      0   286 s    $5.00
//	          105      1   571 s   $10.00
//
// and to store them costs $0.02 a month. The requests are what is paid: a program that
// saves after every event pays $5 for a million events, and with Keep twice that. Prices
// are those of S3 Standard in us-east-1 at the end of 2025, within the region.
//
// S3 splits a partition once it has been busy for some time, which may be half an hour
// and more; until then it refuses what is too much. The keys let it: they begin with the
// id, so loads of many ids are spread over the range, wherever it is cut. New ids that
// rise, as order-0000001 or such as begin with the time, are not: all are saved in the
// last partition, and a million of them take 286 s, however many partitions there are.
// To have more at once, or right after a start, spread the ids over several buckets,
// each with a partition of its own, by a hash of the id with [store.NewRouteFunc]: four
// buckets with 110 loads at once each take 91 s. Prefixes of one bucket do the same once
// S3 has split between them.
//
// Package objectstore/simulate is such a bucket, for tests, and its own tests check the
// figures above.
package objectstore
