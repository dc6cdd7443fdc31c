package workload

import (
	"fmt"
	"strings"

	"github.com/snapstack/snapstack/store"
)

// A Scenario is what the entities of a run are made to do.
type Scenario string

// The scenarios. Meaning says what each is.
const (
	Mixed    Scenario = "mixed"
	Hot      Scenario = "hot"
	Recovery Scenario = "recovery"
	Steady   Scenario = "steady"
	Large    Scenario = "large"
	Drift    Scenario = "drift"
	Churn    Scenario = "churn"
)

// scenarios are all of them, with what zero options stand for in each.
var scenarios = []struct {
	name     Scenario
	meaning  string
	defaults Options
}{
	{Mixed, "any entity is loaded or saved, some much more often than others",
		Options{IDs: 200, Reads: 0.9, Skew: 1.1, Concurrency: 8, MinBytes: 1 << 10, MaxBytes: 4 << 20}},
	{Hot, "nearly all operations are loads, and most of them of a few hot entities",
		Options{IDs: 200, Reads: 0.99, Skew: 1.5, Concurrency: 8, MinBytes: 1 << 10, MaxBytes: 4 << 20}},
	{Recovery, "after a restart every entity is loaded once, all at once, with cold caches",
		Options{IDs: 200, Reads: 1, Concurrency: 64, MinBytes: 1 << 10, MaxBytes: 4 << 20}},
	{Steady, "entities wake and are loaded, handle events, are saved every few of them, and sleep",
		Options{IDs: 200, Skew: 1.1, Concurrency: 8, Every: 10, MinBytes: 1 << 10, MaxBytes: 1 << 20}},
	{Large, "as mixed, with states of 1 to 16 MiB",
		Options{IDs: 16, Reads: 0.7, Skew: 1.1, Concurrency: 4, MinBytes: 1 << 20, MaxBytes: 16 << 20}},
	{Drift, "as large, with a hundredth of a state changed from one snapshot to the next",
		Options{IDs: 8, Reads: 0.5, Skew: 1.1, Concurrency: 4, Change: 0.01, MinBytes: 1 << 20, MaxBytes: 16 << 20}},
	{Churn, "entities come and go: they are saved for the first time, used for a while, and deleted",
		Options{IDs: 200, Reads: 0.6, Skew: 1.1, Concurrency: 8, MinBytes: 1 << 10, MaxBytes: 1 << 20}},
}

// Scenarios returns all scenarios.
func Scenarios() []Scenario {
	var names []Scenario
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// ParseScenario returns the scenario of that name. Any other name is ErrInvalid.
func ParseScenario(name string) (Scenario, error) {
	var allowed []string
	for _, s := range scenarios {
		if string(s.name) == name {
			return s.name, nil
		}
		allowed = append(allowed, string(s.name))
	}
	return "", fmt.Errorf("%w scenario %q; allowed are %s", store.ErrInvalid, name, strings.Join(allowed, ", "))
}

// Meaning returns what the scenario is, in one line.
func (s Scenario) Meaning() string {
	for _, one := range scenarios {
		if one.name == s {
			return one.meaning
		}
	}
	return ""
}
