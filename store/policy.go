package store

import (
	"slices"
	"time"
)

// Since is what happened to an entity since its last snapshot, for a Policy. What no
// policy in use asks for need not be counted.
type Since struct {
	Events  uint64        // events applied since then
	Bytes   uint64        // bytes of these events
	Elapsed time.Duration // time since then
}

// A Policy says whether an entity should be saved now. It must be safe for concurrent
// use where it serves several.
type Policy func(Since) bool

// EveryN returns the usual policy: a snapshot every n events. With n of 0 it never
// asks for one.
func EveryN(n uint64) Policy {
	return func(since Since) bool { return n > 0 && since.Events >= n }
}

// EveryBytes returns the policy of a snapshot after n bytes of events: what a wake
// reads of the journal at most. With n of 0 it never asks for one.
func EveryBytes(n uint64) Policy {
	return func(since Since) bool { return n > 0 && since.Bytes >= n }
}

// EveryInterval returns the policy of a snapshot after d, if there has been an event.
// With d of 0 or less it never asks for one.
func EveryInterval(d time.Duration) Policy {
	return func(since Since) bool { return d > 0 && since.Events > 0 && since.Elapsed >= d }
}

// Any returns the policy that asks for a snapshot when one of the policies does.
func Any(policies ...Policy) Policy {
	policies = slices.Clone(policies)
	return func(since Since) bool {
		return slices.ContainsFunc(policies, func(p Policy) bool { return p(since) })
	}
}

// All returns the policy that asks for a snapshot when each of the policies does, and
// never without any.
func All(policies ...Policy) Policy {
	policies = slices.Clone(policies)
	return func(since Since) bool {
		return len(policies) > 0 && !slices.ContainsFunc(policies, func(p Policy) bool { return !p(since) })
	}
}
