// Package storetest is the conformance suite of snapshot stores: [Run] holds
// every clause of the contract in package store as a named subtest. The author
// of a backend or wrapper calls it from one test, as examples/folder does:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
//			s, err := folder.Open(t.TempDir(), folder.Options{Keep: c.Keep})
//			if err != nil {
//				t.Fatal(err)
//			}
//			return s
//		})
//	}
//
// and, where pruning can fail, [RunFailingPrune] from another.
//
// The injectors are ordinary wrappers, for tests of whatever stands above them:
// [NewFaults] fails before or after a write took effect, [NewLatency] makes calls
// slow, [NewCounter] counts what arrives.
//
// The suite stands on three libraries: pgregory.net/rapid finds short failing
// sequences of calls against a model, github.com/anishathalye/porcupine decides
// whether a recorded concurrent history is linearizable, and go.uber.org/goleak
// finds goroutines that outlive Close.
package storetest

import (
	"testing"

	"github.com/snapstack/snapstack/store"
)

// Config is what a clause needs of the store that it opens.
type Config struct {
	// Keep is the backend's retention: after a Save of s, how many snapshots of
	// the id remain at or below s; 0 keeps all.
	Keep int
}

// Open returns a new, empty store. The suite closes it. An Open that can't do
// what the Config asks for calls t.Skip, and with it skips the clause.
type Open func(t *testing.T, c Config) store.SnapshotStore

// Run checks every clause of the contract, each in a subtest of its own and on a
// store of its own.
func Run(t *testing.T, open Open) {
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) { c.check(t, open) })
	}
}

type clause struct {
	name  string
	check func(t *testing.T, open Open)
}

// clauses are in the order in which a failing one explains those after it.
var clauses = []clause{
	{"LoadLatestReturnsWhatWasSaved", loadLatestReturnsWhatWasSaved},
	{"LatestIsTheHighestNumber", latestIsTheHighestNumber},
	{"SaveReplacesTheSameNumber", saveReplacesTheSameNumber},
	{"LoadBeforeIsExclusive", loadBeforeIsExclusive},
	{"NothingFoundIsErrNotFound", nothingFoundIsErrNotFound},
	{"DeleteIsInclusive", deleteIsInclusive},
	{"DeleteOfNothingIsNoError", deleteOfNothingIsNoError},
	{"DeletedNumbersCanBeSavedAgain", deletedNumbersCanBeSavedAgain},
	{"TimestampsAreUTCMilliseconds", timestampsAreUTCMilliseconds},
	{"ZeroTimestampMeansNow", zeroTimestampMeansNow},
	{"AnyBytesComeBack", anyBytesComeBack},
	{"LargeStatesComeBack", largeStatesComeBack},
	{"SaveKeepsNoReference", saveKeepsNoReference},
	{"LoadedStateBelongsToTheCaller", loadedStateBelongsToTheCaller},
	{"ViewLatestLends", viewLatestLends},
	{"HostileIDsNeverMeet", hostileIDsNeverMeet},
	{"IDsOfEveryLength", idsOfEveryLength},
	{"SequenceNumbersToMaxInt64", sequenceNumbersToMaxInt64},
	{"InvalidInputIsErrInvalid", invalidInputIsErrInvalid},
	{"ErrorsNameTheEntity", errorsNameTheEntity},
	{"ListNewestFirst", listNewestFirst},
	{"ListEveryID", listEveryID},
	{"ListLoopMayCallTheStore", listLoopMayCallTheStore},
	{"ListEndsWithItsContext", listEndsWithItsContext},
	{"KeepIsPerID", keepIsPerID},
	{"KeepOutOfOrder", keepOutOfOrder},
	{"KeepCountsARepeatedSaveOnce", keepCountsARepeatedSaveOnce},
	{"EndedContextDoesNothing", endedContextDoesNothing},
	{"ContextsEndDuringCalls", contextsEndDuringCalls},
	{"CloseIsIdempotent", closeIsIdempotent},
	{"UseAfterCloseIsErrClosed", useAfterCloseIsErrClosed},
	{"CloseDuringCalls", closeDuringCalls},
	{"NoGoroutineOutlivesClose", noGoroutineOutlivesClose},
	{"ConcurrentUse", concurrentUse},
	{"Linearizable", linearizable},
	{"StateMachine", stateMachine},
	{"StateMachineWithKeep", stateMachineWithKeep},
}
