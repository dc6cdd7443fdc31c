package run_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/snapstack/snapstack/bench/run"
	"github.com/snapstack/snapstack/store"
)

func sample() run.Run {
	rounds := []run.Round{{Seconds: 1, OpsPerSecond: 90, CPUSeconds: 0.5}, {Seconds: 1, OpsPerSecond: 100}, {Seconds: 1, OpsPerSecond: 105}}
	return run.Run{
		Format: run.Format, Started: time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC), Seconds: 12.5,
		Workload: run.Workload{Scenario: "mixed", IDs: 200, Reads: 0.9, States: run.States{Count: 3, Bytes: 25}},
		Stacks:   []run.Stack{{Text: "memory", OpsPerSecond: 98, Rounds: rounds}, {Text: "sqlite(path=a.db)", Rounds: rounds[:1]}},
	}
}

func TestWriteAndRead(t *testing.T) {
	var b bytes.Buffer
	if err := run.Write(&b, sample()); err != nil {
		t.Fatal(err)
	}
	got, err := run.Read(&b)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadRefusesWhatIsNoRun(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"format":0}`, `{"format":2}`, `{"format":1} {}`, `{"format":"1"}`} {
		if _, err := run.Read(strings.NewReader(text)); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCompare(t *testing.T) {
	old, now := sample(), sample()
	now.Workload.DurationSeconds = 10 // only longer
	now.Stacks[0].Rounds = []run.Round{{OpsPerSecond: 200}, {OpsPerSecond: 210}}
	now.Stacks[1].Text = "another"
	changes, err := run.Compare(old, now)
	if err != nil || len(changes) != 1 {
		t.Fatalf("%+v, %v; want the stack that both have", changes, err)
	}
	c := changes[0]
	if c.Text != "memory" || !c.Ok || c.Ratio != 2.05 || c.Noise < 0.12 || c.Noise > 0.13 || !c.Differs() {
		t.Errorf("%+v; want 205 to 100, with a tenth and a fortieth of noise", c)
	}
	if same, err := run.Compare(old, old); err != nil || same[0].Ratio != 1 || same[0].Differs() {
		t.Errorf("to itself: %+v, %v", same, err)
	}
	now.Stacks[0].Rounds = nil
	if changes, err := run.Compare(old, now); err != nil || changes[0].Ok || changes[0].Differs() {
		t.Errorf("not measured: %+v, %v", changes, err)
	}
	now.Stacks = nil
	if _, err := run.Compare(old, now); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "no stack in common") {
		t.Errorf("nothing in common: %v", err)
	}
	now = sample()
	now.Workload.IDs = 100
	if _, err := run.Compare(old, now); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "ids was 200 and is 100") {
		t.Errorf("another workload: %v", err)
	}
}
