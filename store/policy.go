package store

// Since is what happened to an entity since its last snapshot, for a Policy.
type Since struct {
	Events uint64 // events applied since then
}

// A Policy says whether an entity should be saved now.
type Policy func(Since) bool

// EveryN returns the usual policy: a snapshot every n events. With n of 0 it never
// asks for one.
func EveryN(n uint64) Policy {
	return func(since Since) bool { return n > 0 && since.Events >= n }
}
