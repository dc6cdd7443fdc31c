package objectstore

import "sync/atomic"

// Stats is what a Store has asked of its bucket since it was made: the requests that an
// object store is paid by. What a bucket repeats by itself after an error is not in it, nor
// that a service without batch delete is asked for each key.
type Stats struct {
	Lists   int64 // of up to 1000 keys each
	Gets    int64
	Puts    int64
	Deletes int64 // of up to 1000 keys each
}

// requests count as Stats says.
type requests struct{ lists, gets, puts, deletes atomic.Int64 }

// Stats returns what the Store has asked of its bucket. It may be called concurrently.
func (s *Store) Stats() Stats {
	return Stats{
		Lists:   s.requests.lists.Load(),
		Gets:    s.requests.gets.Load(),
		Puts:    s.requests.puts.Load(),
		Deletes: s.requests.deletes.Load(),
	}
}
