package main

import (
	"encoding/csv"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/bench/run"
)

// formatted runs two stacks and returns what is printed.
func formatted(t *testing.T, format string) string {
	t.Helper()
	status, stdout, stderr := bench(t, t.Context(), "-states", statesFolder(t), "-duration", "100ms", "-concurrency", "2", "-ids", "5", "-seed", "7",
		"-stack", "memory(keep=2)", "-stack", "cache | memory(keep=2)", format)
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, stderr %q; want 0 and nothing", status, stderr)
	}
	return stdout
}

func TestJSON(t *testing.T) {
	got, err := run.Read(strings.NewReader(formatted(t, "-json")))
	if err != nil {
		t.Fatal(err)
	}
	w := got.Workload
	if w.States.Count != 3 || w.States.Bytes != 25 || w.States.MinBytes != 7 || w.States.MaxBytes != 11 || w.States.Generated {
		t.Errorf("states are %+v", w.States)
	}
	if w.Scenario != "mixed" || w.Meaning == "" || w.IDs != 5 || w.Reads != 0.9 || w.Skew != 1.1 || w.DurationSeconds != 0.1 || w.WarmupSeconds != 0.02 || w.Rounds != 5 || w.Seed != 7 {
		t.Errorf("workload is %+v", w)
	}
	if got.Format != 1 || got.Machine.CPUs == 0 || got.Interrupted || got.Seconds <= 0 || got.Prices.Put != 0.005 || len(got.Stacks) != 2 {
		t.Fatalf("run is %+v", got)
	}
	bare, cached := got.Stacks[0], got.Stacks[1]
	if bare.Text != "memory(keep=2)" || len(bare.Layers) != 1 || len(cached.Layers) != 2 {
		t.Fatalf("stacks are %+v and %+v", bare, cached)
	}
	if outer, inner := cached.Layers[0], cached.Layers[1]; outer.Text != "cache" || *outer.Hits == 0 || inner.Text != "memory(keep=2)" || inner.Loads != outer.Loads-*outer.Hits || inner.Saves != outer.Saves {
		t.Errorf("layers are %+v and %+v", outer, inner)
	}
	for _, s := range got.Stacks {
		if s.OpsPerSecond <= 0 || len(s.Rounds) != 5 || s.Ratio == nil || s.Spread == nil || s.StoredBytes == nil || s.StateBytes == nil || s.Requests != nil || len(s.Problems) != 0 {
			t.Errorf("stack is %+v; want all of it measured", s)
		}
		operations := int64(0)
		for i, bin := range s.Timeline {
			operations += bin.Operations
			if bin.Length <= 0 || bin.Round < 1 || bin.Round > 5 || i > 0 && bin.Seconds <= s.Timeline[i-1].Seconds {
				t.Errorf("bin %d is %+v", i, bin)
			}
		}
		if operations != s.Loads.Count+s.Saves.Count {
			t.Errorf("the timeline has %d operations of %d", operations, s.Loads.Count+s.Saves.Count)
		}
		if l := s.Loads; l.Count == 0 || l.P50 <= 0 || l.P99 < l.P50 || l.Max < l.P99 || l.Max > 1 {
			t.Errorf("loads are %+v; want seconds", l)
		}
		curve := s.Loads.Curve
		for i := range curve {
			if i > 0 && (curve[i].Percentile < curve[i-1].Percentile || curve[i].Seconds < curve[i-1].Seconds) {
				t.Errorf("the curve falls from %+v to %+v", curve[i-1], curve[i])
			}
		}
		if len(curve) < 2 || len(curve) > 500 || curve[len(curve)-1].Percentile != 100 {
			t.Errorf("the curve has %d points and ends at %+v", len(curve), curve[len(curve)-1])
		}
	}
	if *bare.Ratio != 1 || *bare.Spread != 0 {
		t.Errorf("the first stack has the ratio %v ±%v to itself", *bare.Ratio, *bare.Spread)
	}
}

func TestCSV(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(formatted(t, "-csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[1][0] != "memory(keep=2)" || rows[2][0] != "cache | memory(keep=2)" || rows[1][2] != "1" || rows[1][3] != "0" {
		t.Fatalf("rows are %q", rows)
	}
	for i, name := range rows[0] {
		neither := slices.Contains([]string{"shared_loads", "commits", "lists", "gets", "puts", "deletes", "dollars_per_million"}, name)
		if (rows[1][i] == "") != (neither || name == "cache_hits") || (rows[2][i] == "") != neither {
			t.Errorf("column %s: %q and %q", name, rows[1][i], rows[2][i])
		}
	}
}

func TestGoBench(t *testing.T) {
	got := formatted(t, "-gobench")
	line := regexp.MustCompile(`^Benchmark(Operation|Load|Save)/stack=(cache\|)?memory\(keep=2\) \d+ [\d.]+ ns/op( \d+ p50-ns \d+ p99-ns)?$`)
	lines := 0
	for text := range strings.Lines(got) {
		if strings.HasPrefix(text, "Benchmark") {
			lines++
			if !line.MatchString(strings.TrimSuffix(text, "\n")) {
				t.Errorf("%q is no line of go test -bench", text)
			}
		}
	}
	// On a busy machine there may be rounds in which nothing was done.
	if least, most := 2*(1+2), 2*(5+2); lines < least || lines > most {
		t.Errorf("%d lines; want %d to %d, one for each round and one for each operation:\n%s", lines, least, most, got)
	}
}
