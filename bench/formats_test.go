package main

import (
	"encoding/csv"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// formatted runs two stacks and returns what is printed.
func formatted(t *testing.T, format string) string {
	t.Helper()
	status, stdout, stderr := bench(t, t.Context(), "-states", statesFolder(t), "-duration", "20ms", "-concurrency", "2", "-ids", "5", "-seed", "7",
		"-stack", "memory(keep=2)", "-stack", "cache | memory(keep=2)", format)
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, stderr %q; want 0 and nothing", status, stderr)
	}
	return stdout
}

func TestJSON(t *testing.T) {
	var got report
	if err := json.Unmarshal([]byte(formatted(t, "-json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.States != 3 || got.StateBytes != 25 || got.IDs != 5 || got.Reads != 0.9 || got.Seconds != 0.02 || got.Seed != 7 || len(got.Stacks) != 2 {
		t.Fatalf("report is %+v", got)
	}
	bare, cached := got.Stacks[0], got.Stacks[1]
	if bare.Stack != "memory(keep=2)" || bare.Cache != nil || cached.Cache == nil || cached.Cache.Hits == 0 {
		t.Errorf("stacks are %+v and %+v", bare, cached)
	}
	for _, s := range got.Stacks {
		if s.OpsPerSecond <= 0 || len(s.Rounds) != 5 || s.Ratio == nil || s.Spread == nil || s.Backend == nil || s.Stored == nil || len(s.Problems) != 0 {
			t.Errorf("stack is %+v; want all of it measured", s)
		}
		if l := s.Loads; l.Count == 0 || l.P50 <= 0 || l.P99 < l.P50 || l.Max < l.P99 || l.Max > 1 {
			t.Errorf("loads are %+v; want seconds", l)
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
		empty := strings.HasPrefix(name, "cache_")
		if (rows[1][i] == "") != empty || rows[2][i] == "" {
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
	if want := 2 * (5 + 2); lines != want {
		t.Errorf("%d lines; want %d, one for each round and one for each operation:\n%s", lines, want, got)
	}
}
