package advice

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/bench/run"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

// TestText compares the advice on the samples of package report with what stands in
// testdata.
func TestText(t *testing.T) {
	samples, err := filepath.Glob("../report/testdata/*.json")
	if err != nil || len(samples) < 8 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, path := range samples {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			encoded, err := os.ReadFile(path)
			var r run.Run
			if err == nil {
				err = json.Unmarshal(encoded, &r)
			}
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".txt")
			got := Text(r)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("Text gave\n%s\nwant\n%s", got, want)
			}
			for line := range strings.Lines(got) {
				if len([]rune(line)) > lineLength+1 && strings.Contains(line, " ") {
					t.Errorf("a line of %d characters: %s", len([]rune(line)), line)
				}
			}
		})
	}
}

// steady is a run of stacks with nothing that any rule has to say something about.
func steady(stacks ...run.Stack) run.Run {
	r := run.Run{
		Seconds: 30,
		Workload: run.Workload{IDs: 100, Reads: .9, Change: .05, Concurrency: 8, Rounds: 5, SaveDelaySeconds: 1e-3,
			States: run.States{Count: 10, Bytes: 10 * 100 << 10}},
		Stacks: stacks,
	}
	for i := range r.Stacks {
		s := &r.Stacks[i]
		if against, ok := overRounds(&r.Stacks[0], s, throughput.perRound); ok {
			s.Ratio, s.Spread = &against.Median, &against.Spread
		}
	}
	return r
}

// at returns a stack that does so many operations a second, its rounds within 2 %, and
// everything else in proportion.
func at(rate float64, text string) run.Stack {
	s := run.Stack{Text: text, OpsPerSecond: rate, CPUSeconds: 20, PeakBytes: 50 << 20}
	for _, noise := range []float64{.99, 1, 1.01, 1, 1} {
		s.Rounds = append(s.Rounds, run.Round{Seconds: 2, OpsPerSecond: rate * noise, CPUSeconds: 2 * noise})
	}
	s.Loads = run.Latency{Count: int64(18 * rate), P50: 50 / rate, P99: 100 / rate}
	s.Saves = run.Latency{Count: int64(2 * rate), P50: 500 / rate, P99: 1000 / rate}
	s.StateBytes, s.StoredBytes = new(int64(100<<20)), new(int64(100<<20))
	return s
}

// with returns s after a change.
func with(s run.Stack, change func(*run.Stack)) run.Stack {
	s.Rounds, s.Layers = slices.Clone(s.Rounds), slices.Clone(s.Layers)
	change(&s)
	return s
}

func layered(s run.Stack, layers ...run.Layer) run.Stack {
	s.Layers = layers
	return s
}

// cache returns a cache that was asked 1000 times.
func cache(hits, held, limit int64) run.Layer {
	return run.Layer{Name: "cache", Loads: 1000, Saves: 1000, Hits: &hits, HeldBytes: &held, LimitBytes: &limit}
}

func layer(name string, loads, saveBytes int64) run.Layer {
	return run.Layer{Name: name, Loads: loads, Saves: 1000, SaveBytes: saveBytes}
}

func flight(shared int64) run.Layer {
	return run.Layer{Name: "singleflight", Loads: 1000, Saves: 1000, Shared: &shared}
}

// TestRules has for each thing that may be said a run that makes it said, and one, as
// similar as may be, that does not.
func TestRules(t *testing.T) {
	const mib = 1 << 20
	noisy := func(s run.Stack, noise float64) run.Stack {
		return with(s, func(s *run.Stack) {
			s.Rounds[0].OpsPerSecond *= 1 - noise
			s.Rounds[1].OpsPerSecond *= 1 + noise
		})
	}
	storing := func(s run.Stack, bytes int64) run.Stack {
		return with(s, func(s *run.Stack) { s.StoredBytes = &bytes })
	}
	rated := func(r run.Run, rate float64) run.Run { r.Workload.Rate = rate; return r }
	interrupted := func(r run.Run) run.Run { r.Interrupted = true; return r }
	meanState := func(r run.Run, bytes int64) run.Run {
		r.Workload.States.Bytes = bytes * int64(r.Workload.States.Count)
		return r
	}
	undelayed := func(r run.Run) run.Run { r.Workload.SaveDelaySeconds = 0; return r }
	changing := func(r run.Run, change float64) run.Run { r.Workload.Change = change; return r }
	slow := func(s run.Stack) run.Stack {
		return with(s, func(s *run.Stack) { s.Loads.P50 = 5e-3 })
	}
	quick := with(at(1000, "sqlite(path=a)"), func(s *run.Stack) { s.Saves.P50 = 60e-6 })
	a, b := at(1000, "sqlite(path=a)"), at(3000, "cache | sqlite(path=b)")

	for _, c := range []struct {
		name   string
		fires  run.Run
		want   string
		silent run.Run
	}{
		// What is wrong.
		{name: "stale", fires: steady(a, with(b, func(s *run.Stack) { s.Stale = 2 })), silent: steady(a, b),
			want: "Stack 2 gave 2 stale and 0 wrong reads: a store must give none, so don't use it before that is understood, and don't trust its other figures."},
		{name: "wrong", fires: steady(with(a, func(s *run.Stack) { s.Wrong = 1 }), b), silent: steady(a, b),
			want: "Stack 1 gave 0 stale and 1 wrong reads: a store must give none, so don't use it before that is understood, and don't trust its other figures."},
		{name: "error", fires: steady(a, with(b, func(s *run.Stack) { s.Errors = 1 })), silent: steady(a, b),
			want: "An operation of stack 2 failed; it is left out of the comparison."},
		{name: "errors", fires: steady(a, with(b, func(s *run.Stack) { s.Errors = 1200 })), silent: steady(a, b),
			want: "1,200 operations of stack 2 failed; it is left out of the comparison."},
		{name: "not opened", fires: steady(a, run.Stack{Text: "memory", Problems: []string{"not measured: no room"}}), silent: steady(a, at(9, "memory")),
			want: "Stack 2 could not be measured (no room)."},
		{name: "nothing of one", fires: steady(a, run.Stack{Text: "memory"}), silent: interrupted(steady(a, run.Stack{Text: "memory"})),
			want: "Nothing was measured of stack 2."},
		{name: "no stack", fires: steady(), silent: steady(a), want: "There was no stack to measure."},
		{name: "interrupted", fires: interrupted(steady(a)), silent: steady(a), want: "The run was interrupted after 30 s: this is what was measured until then."},
		{name: "interrupted at once", fires: interrupted(steady(run.Stack{Text: "memory"})), silent: steady(run.Stack{Text: "memory"}),
			want: "The run was interrupted after 30 s, before anything was measured."},
		{name: "rate missed", fires: rated(steady(a), 2000), silent: rated(steady(a), 1040),
			want: "Stack 1 did 1,000 of the 2,000 operations a second that were due: its latencies are those of a queue that grows."},
		{name: "short by time", fires: steady(with(a, func(s *run.Stack) {
			s.Rounds = []run.Round{{Seconds: .4, OpsPerSecond: 1e6}, {Seconds: .4, OpsPerSecond: 1e6}}
		})), silent: steady(a),
			want: "The run was short: stack 1 had 20,000 operations in 800 ms. Run longer (-duration) before deciding anything."},
		{name: "short by operations", fires: steady(at(45, "memory")), silent: steady(at(55, "memory")),
			want: "The run was short: stack 1 had 900 operations in 10 s. Run longer (-duration) before deciding anything."},
		{name: "one round", fires: steady(with(a, func(s *run.Stack) { s.Rounds = s.Rounds[:1] }), with(b, func(s *run.Stack) { s.Rounds = s.Rounds[:1] })), silent: steady(a, b),
			want: "Stack 1 had one round, which tells nothing of the spread: no difference in speed is claimed (-rounds)."},
		{name: "spread above differences", fires: steady(a, noisy(at(1050, "memory"), .2)), silent: steady(a, noisy(at(1500, "memory"), .2)),
			want: "The spread over the rounds (±25 %) is larger than the differences in throughput: run longer (-duration) to tell the stacks apart."},
		{name: "noisy", fires: steady(a, noisy(b, .4)), silent: steady(a, noisy(b, .2)),
			want: "The machine was noisy: rounds differ by up to 67 %. Smaller differences mean nothing; run longer (-duration)."},

		// Who won.
		{name: "winner", fires: steady(a, b), silent: steady(a, noisy(at(1050, "cache | sqlite(path=b)"), .2)),
			want: "Stack 2 (cache | sqlite) won at throughput (3,000 operations a second, 3 times stack 1), load p99 (33.3 ms, 3 times lower than stack 1), save p99 (333 ms, 3 times lower than stack 1) and CPU per operation (333 µs, 3 times less than stack 1)."},
		{name: "undecided", fires: steady(a, b), silent: steady(a, with(storing(b, 50*mib), func(s *run.Stack) { s.PeakBytes = 9 * mib })),
			want: "At bytes stored and peak memory no stack stands out: the differences are within the spread."},
		{name: "shared lead", fires: steady(a, b, at(3010, "cache(ttl=1h) | sqlite(path=c)")), silent: steady(a, b, at(3900, "cache(ttl=1h) | sqlite(path=c)")),
			want: "Stacks 2 and 3 share the lead at throughput (3,000 operations a second, 3 times stack 1), load p99 (33.3 ms, 3 times lower than stack 1), save p99 (333 ms, 3 times lower than stack 1) and CPU per operation (333 µs, 3 times less than stack 1)."},
		{name: "volatile", fires: steady(a, at(9000, "cache | objectstore(url=mem://)")), silent: steady(a, at(9000, `cache | objectstore(url="file://TEMP/4")`)),
			want: "Stack 2 keeps its snapshots in memory and loses them with the process: it shows what is possible at most, 9,000 operations a second."},
		{name: "two volatile", fires: steady(a, at(9000, "memory"), at(9900, "cache | memory")), silent: steady(a, at(9000, "memory")),
			want: "Stacks 2 and 3 keep their snapshots in memory and lose them with the process: they show what is possible at most, 9,900 operations a second (stack 3)."},
		{name: "all volatile", fires: steady(at(1000, "memory"), at(2000, "cache | memory")), silent: steady(a, at(2000, "cache | memory")),
			want: "Stack 2 (cache | memory) won at throughput (2,000 operations a second, 2 times stack 1), load p99 (50 ms, 2 times lower than stack 1), save p99 (500 ms, 2 times lower than stack 1) and CPU per operation (500 µs, 2 times less than stack 1)."},
		{name: "alone", fires: steady(a), silent: steady(a, b),
			want: "Stack 1 (sqlite) had nothing to be compared with: throughput 1,000 operations a second, load p99 100 ms, save p99 1 s, bytes stored 100 % of the states, peak memory 50 MiB and CPU per operation 1 ms."},
		{name: "price", fires: steady(priced(a, 4), priced(b, 1)), silent: steady(priced(a, 4), priced(b, 3.9)),
			want: "Stack 2 (cache | sqlite) won at throughput (3,000 operations a second, 3 times stack 1), load p99 (33.3 ms, 3 times lower than stack 1), save p99 (333 ms, 3 times lower than stack 1), CPU per operation (333 µs, 3 times less than stack 1) and price of requests ($1 a million operations, 4 times lower than stack 1)."},

		{name: "level price", fires: steady(priced(a, 4), priced(b, 3.9)), silent: steady(priced(a, 4), priced(b, 3)),
			want: "At bytes stored, peak memory and price of requests no stack stands out: the differences are within the spread."},

		// What layers earned.
		{name: "one layer more", fires: steady(a, storing(at(900, "zstd | sqlite(path=b)"), 25*mib)), silent: steady(a, storing(at(900, "zstd | objectstore(url=file:///b)"), 25*mib)),
			want: "With zstd (stack 2 against 1): 4 times fewer bytes stored, for 10 % lower throughput, 11 % higher load p99, 11 % higher save p99 and 11 % more CPU per operation."},
		{name: "two layers more", fires: steady(a, at(3000, "cache | singleflight | sqlite(path=b)")), silent: steady(a, at(3000, "cache | singleflight | zstd | sqlite(path=b)")),
			want: "With cache and singleflight (stack 2 against 1): 3 times the throughput, 3 times lower load p99, 3 times lower save p99 and 3 times less CPU per operation."},
		{name: "an option", fires: steady(b, at(6000, "cache(policy=lru) | sqlite(path=c)")), silent: steady(b, at(6000, "cache(policy=lru) | zstd(level=best) | objectstore(url=file:///c)")),
			want: "With cache(policy=lru) in place of cache (stack 2 against 1): 2 times the throughput, 2 times lower load p99, 2 times lower save p99 and 2 times less CPU per operation."},
		{name: "another backend", fires: steady(a, at(500, "objectstore(url=file:///x)")), silent: steady(a, at(500, "memory")),
			want: "With objectstore in place of sqlite (stack 2 against 1): no gain, for 2 times lower throughput, 2 times the load p99, 2 times the save p99 and 2 times the CPU per operation."},
		{name: "order", fires: steady(at(1000, "cache | zstd | sqlite(path=a)"), at(1500, "zstd | cache | sqlite(path=b)")), silent: steady(at(1000, "cache | zstd | sqlite(path=a)"), at(1500, "zstd(level=best) | cache | sqlite(path=b)")),
			want: "With the order zstd | cache | sqlite in place of cache | zstd | sqlite (stack 2 against 1): 50 % higher throughput, 33 % lower load p99, 33 % lower save p99 and 33 % less CPU per operation."},
		{name: "no difference", fires: steady(a, at(1005, "singleflight | sqlite(path=b)")), silent: steady(a, at(1200, "singleflight | sqlite(path=b)")),
			want: "With singleflight (stack 2 against 1): no difference beyond the spread."},
		{name: "level throughput", fires: steady(a, storing(at(1005, "zstd | sqlite(path=b)"), 25*mib)), silent: steady(a, storing(at(900, "zstd | sqlite(path=b)"), 25*mib)),
			want: "With zstd (stack 2 against 1): 4 times fewer bytes stored; no difference in throughput beyond the spread."},

		// What layers did.
		{name: "hits", fires: steady(layered(b, cache(640, mib, 64*mib), layer("sqlite", 360, 0))), silent: steady(b), want: "The cache answered 64 % of the loads that came to it."},
		{name: "hits of two", fires: steady(layered(b, cache(640, mib, 64*mib)), layered(at(2000, "cache | memory"), cache(320, mib, 64*mib))), silent: steady(b, a),
			want: "The cache answered 64 % (stack 1) and 32 % (stack 2) of the loads that came to it."},
		{name: "shared", fires: steady(layered(at(1, "singleflight | memory"), flight(210))), silent: steady(a), want: "Of the loads that reached singleflight 21 % joined another one's."},
		{name: "shrunk", fires: steady(layered(at(1000, "zstd | sqlite(path=a)"), layer("zstd", 0, 1000), layer("sqlite", 0, 230))), silent: steady(a), want: "zstd passed on 23 % of the bytes saved."},
		{name: "delta", fires: steady(layered(at(1000, "delta | sqlite(path=a)"), layer("delta", 0, 1000), layer("sqlite", 0, 40))), silent: steady(a), want: "delta passed on 4 % of the bytes saved."},
		{name: "commits", fires: steady(layered(a, run.Layer{Name: "sqlite", Saves: 1000, Commits: new(int64(250))})), silent: steady(layered(a, run.Layer{Name: "sqlite", Saves: 1000})),
			want: "A commit of the database paid for 4 saves on average."},

		// Sweeps.
		{name: "knee", fires: steady(sweepOf("cache(size=%) | sqlite", "64MiB", 3050, "1MiB", 1000, "8MiB", 3000)...), silent: steady(sweepOf("cache(size=%) | sqlite", "64MiB", 3050, "1MiB", 1000)...),
			want: "The knee is at cache.size=8MiB (stack 3, throughput 3 times at 1MiB): beyond it less than 10 % of throughput is left to win."},
		{name: "two values are no sweep", fires: steady(sweepOf("cache(size=%) | sqlite", "1MiB", 1000, "8MiB", 3000)...), silent: steady(sweepOf("cache(size=%) | sqlite", "1MiB", 1000, "8MiB", 3000, "64MiB", 3050)...),
			want: "With cache(size=8MiB) in place of cache(size=1MiB) (stack 2 against 1): 3 times the throughput, 3 times lower load p99, 3 times lower save p99 and 3 times less CPU per operation."},
		{name: "knee beyond", fires: steady(sweepOf("cache(size=%) | sqlite", "1MiB", 1000, "8MiB", 2000, "64MiB", 3000)...), silent: steady(sweepOf("cache(size=%) | sqlite", "1MiB", 1000, "8MiB", 2900, "64MiB", 3000)...),
			want: "The throughput still grows at cache.size=64MiB (stack 3, throughput 3 times at 1MiB), the largest: the knee lies beyond it, so try larger ones."},
		{name: "first is enough", fires: steady(sweepOf("zstd(level=%) | sqlite", "best", 300, "fastest", 1000, "default", 900)...), silent: steady(sweepOf("zstd(level=%) | sqlite", "best", 1300, "fastest", 1000, "default", 900)...),
			want: "zstd.level=fastest is enough: no other value has 10 % more throughput."},
		{name: "flat", fires: steady(sweepOf("cache(size=%) | sqlite", "1MiB", 1000, "8MiB", 1002, "64MiB", 1004)...), silent: steady(sweepOf("cache(size=%) | sqlite", "1MiB", 1000, "8MiB", 1002, "64MiB", 1204)...),
			want: "Between cache.size of 1MiB and 64MiB the throughput does not differ beyond the spread."},
		{name: "levels", fires: steady(at(1000, "zstd(level=fastest) | sqlite"), at(900, "zstd(level=default) | sqlite"), storing(at(500, "zstd(level=best) | sqlite"), 80*mib)),
			silent: steady(at(1000, "zstd(level=fastest) | sqlite"), at(900, "zstd(level=default) | sqlite"), at(500, "zstd(level=best) | sqlite")),
			want:   "zstd.level best against fastest: 20 % fewer bytes stored, for 2 times lower throughput, 2 times the load p99, 2 times the save p99 and 2 times the CPU per operation."},

		// What to try next. The working set of these runs is 100 entities of 100 KiB.
		{name: "full cache", fires: steady(layered(b, cache(640, 3*mib, 3*mib))), silent: steady(layered(b, cache(970, 3*mib, 3*mib))),
			want: "The cache of stack 1 is full: it holds 3.0 MiB, about 31 % of the working set of 9.8 MiB, and answers 64 % of its loads. Doubling it would hold 61 %: try cache(size=6MiB)."},
		{name: "full cache, swept", fires: steady(layered(b, cache(640, 10*mib, 10*mib))), silent: steady(sweptCaches()...),
			want: "The cache of stack 1 is full at 10 MiB and answers 64 % of its loads: try cache(size=20MiB)."},
		{name: "no cache", fires: steady(slow(a)), silent: steady(slow(a), b),
			want: "Half the loads of stack 1 take 5 ms and more, and each entity is loaded 180 times: try cache | singleflight above it."},
		{name: "cache in vain", fires: steady(layered(b, cache(20, mib, 64*mib))), silent: steady(layered(b, cache(80, mib, 64*mib))),
			want: "The cache of stack 1 answers 2 % of its loads: for this workload leave it out."},
		{name: "smaller cache", fires: steady(layered(b, cache(900, 9*mib, 64*mib))), silent: steady(layered(b, cache(900, 40*mib, 64*mib))),
			want: "The cache of stack 1 may hold 64 MiB and holds 9.0 MiB: with as many entities as here a smaller one does the same."},
		{name: "zstd in vain", fires: steady(layered(at(1000, "zstd | sqlite"), layer("zstd", 0, 1000), layer("sqlite", 0, 980))), silent: steady(layered(at(1000, "zstd | sqlite"), layer("zstd", 0, 1000), layer("sqlite", 0, 800))),
			want: "zstd in stack 1 leaves 98 % of the bytes: these states hardly shrink, so leave it out."},
		{name: "dictionary", fires: meanState(steady(layered(at(1000, "zstd | sqlite"), layer("zstd", 0, 1000), layer("sqlite", 0, 700))), 600),
			silent: meanState(steady(layered(at(1000, "zstd(dict=a.dict) | sqlite"), layer("zstd", 0, 1000), layer("sqlite", 0, 700))), 600),
			want:   "The states are small (600 B on average) and zstd in stack 1 leaves 70 % of them: if they resemble each other, train a dictionary from them (-train) and try zstd(dict=...)."},
		{name: "no zstd", fires: steady(a), silent: steady(a, at(900, "zstd | sqlite(path=b)")),
			want: "No stack compresses, and stack 1 stores 100 % of the states' bytes: try zstd above the backend."},
		{name: "delta pays", fires: steady(layered(at(1000, "delta | sqlite"), layer("delta", 0, 1000), layer("sqlite", 0, 40))), silent: changing(steady(layered(at(1000, "delta | sqlite"), layer("delta", 0, 1000), layer("sqlite", 0, 40))), .5),
			want: "delta pays in stack 1, where a state changes by 5 % each time; it does so the less the more of a state changes, so measure with your own states or -change."},
		{name: "delta in vain", fires: changing(steady(layered(at(1000, "delta | sqlite"), layer("delta", 0, 1000), layer("sqlite", 0, 990))), .8), silent: changing(steady(layered(at(1000, "delta | sqlite"), layer("delta", 0, 1000), layer("sqlite", 0, 600))), .8),
			want: "delta in stack 1 passes on 99 % of the bytes: states that change by 80 % each time are better saved whole."},
		{name: "idle singleflight", fires: steady(layered(at(1000, "singleflight | sqlite"), flight(4))), silent: steady(layered(at(1000, "singleflight | sqlite"), flight(40))),
			want: "Singleflight in stack 1 shared 0.4 % of its loads: here loads of one entity hardly meet. See -scenario hot before leaving it out."},
		{name: "fast disk", fires: undelayed(steady(quick)), silent: steady(quick),
			want: "Half the saves of stack 1 take less than 60 µs: a disk of production may be slower, which favours zstd and the cache. Compare again with -backend-latency."},
	} {
		t.Run(c.name, func(t *testing.T) {
			if said := sentences(c.fires); !slices.Contains(said, c.want) {
				t.Errorf("of the run that fires it %q\nis not in\n%s", c.want, strings.Join(said, "\n"))
			}
			if said := sentences(c.silent); slices.Contains(said, c.want) || sameRule(said, c.want) {
				t.Errorf("of the run that must not fire it\n%s", strings.Join(said, "\n"))
			}
		})
	}
}

// sameRule tells whether a sentence begins like the one wanted: it is the same rule's, of
// other figures. Winners and differences begin with the stack and are told apart by all.
func sameRule(said []string, want string) bool {
	if strings.HasPrefix(want, "Stack") || strings.HasPrefix(want, "With ") || strings.HasPrefix(want, "At ") {
		return false
	}
	beginning := func(s string) string {
		s = strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' {
				return -1
			}
			return r
		}, s)
		return s[:min(24, len(s))]
	}
	return slices.ContainsFunc(said, func(s string) bool { return beginning(s) == beginning(want) })
}

func sentences(r run.Run) []string {
	var said []string
	for _, section := range Sections(r) {
		said = append(said, section.Sentences...)
	}
	return said
}

func priced(s run.Stack, dollars float64) run.Stack {
	s.Requests = &run.Requests{Get: 1, Dollars: dollars}
	return s
}

// sweepOf returns stacks with values in place of %, each followed by its rate.
func sweepOf(text string, valuesAndRates ...any) []run.Stack {
	var stacks []run.Stack
	for i := 0; i < len(valuesAndRates); i += 2 {
		stacks = append(stacks, at(float64(valuesAndRates[i+1].(int)), strings.Replace(text, "%", valuesAndRates[i].(string), 1)))
	}
	return stacks
}

// sweptCaches returns a sweep whose first cache is full.
func sweptCaches() []run.Stack {
	stacks := sweepOf("cache(size=%) | sqlite", "10MiB", 1000, "20MiB", 2000, "40MiB", 3000)
	for i := range stacks {
		stacks[i] = layered(stacks[i], cache(640, 10<<20, 10<<20<<i))
	}
	return stacks
}

// TestNoiseIsTheSameBothWays has rounds of a ratio that lie far above the median: seen from
// the other stack they lie close together.
func TestNoiseIsTheSameBothWays(t *testing.T) {
	a, b := at(1000, "sqlite(path=a)"), at(2000, "memory")
	for i, rate := range []float64{1200, 2000, 2000, 4900, 3000} {
		b.Rounds[i].OpsPerSecond = rate
		a.Rounds[i].OpsPerSecond = 1000
	}
	_, forth, _ := throughput.ratio(&a, &b)
	_, back, _ := throughput.ratio(&b, &a)
	if forth || back {
		t.Errorf("the stacks differ: %v forth, %v back", forth, back)
	}
	if forth, back := timingNoise(&a, &b), timingNoise(&b, &a); math.Abs(forth-back) > 1e-9 {
		t.Errorf("the noise is %v forth, %v back", forth, back)
	}
}

// TestDifference tells in which respects two stacks are comparable.
func TestDifference(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"sqlite(path=a)", "zstd | sqlite(path=b)", "With zstd"},
		{"sqlite(path=a)", "cache | zstd | sqlite(path=b)", "With cache and zstd"},
		{"cache | sqlite(path=a)", "cache | zstd | sqlite(path=b)", "With zstd"},
		{"zstd | sqlite(path=a)", "sqlite(path=b)", ""}, // told the other way round
		{"sqlite(path=a)", "sqlite(path=b)", ""},        // nothing differs
		{"sqlite(path=a)", "a | b | c | sqlite(path=b)", ""},
		{"sqlite(path=a,sync=full)", "sqlite(path=b,sync=off)", "With sqlite(sync=off) in place of sqlite(sync=full)"},
		{"sqlite(path=a)", "objectstore(url=file:///a)", "With objectstore in place of sqlite"},
		{`objectstore(url="s3://a?b=c")`, "objectstore(url=file:///a)", "With objectstore(url=file) in place of objectstore(url=s3)"},
		{"a | b | c", "b | a | c", "With the order b | a | c in place of a | b | c"},
		{"a | b | c", "b | d | c", ""},
		{"a(x=1) | b(y=1) | c", "a(x=2) | b(y=2) | c", ""},
		{"my own", "your own", ""}, // no texts of stacks
	} {
		r := steady(at(1, c.a), at(1, c.b))
		all := subjects(r)
		what, _, ok := difference(all[0].spec, all[1].spec)
		if what != c.want || ok != (c.want != "") {
			t.Errorf("difference of %q and %q gave %q, %v; want %q", c.a, c.b, what, ok, c.want)
		}
	}
}

// TestOddRuns has runs that no bench makes, which a program of the user's own may: nothing
// is claimed of numbers that are none.
func TestOddRuns(t *testing.T) {
	odd := []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}
	for _, x := range odd {
		s := at(1000, "cache | zstd | sqlite")
		s.OpsPerSecond, s.CPUSeconds, s.Ratio, s.Spread = x, x, &x, &x
		s.Loads.P50, s.Loads.P99, s.Saves.P50, s.Saves.P99 = x, x, x, x
		s.Rounds[0].OpsPerSecond, s.Rounds[1].CPUSeconds, s.Rounds[2].Seconds = x, x, x
		s.Requests = &run.Requests{Dollars: x}
		rates := at(1000, "cache | zstd | sqlite")
		rates.Loads, rates.Saves, rates.Requests = s.Loads, s.Saves, s.Requests
		for _, stacks := range [][]run.Stack{{s}, {s, at(1000, "sqlite")}, {at(1000, "sqlite"), s, s}, {at(1000, "sqlite"), rates, s}, {{}}, {{Text: "sqlite", OpsPerSecond: x}}} {
			text := Text(run.Run{Stacks: stacks, Seconds: x, Workload: run.Workload{Rate: x, Change: x, IDs: 1}})
			if text == "" || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "9,223,372") {
				t.Errorf("of %v\n%s", x, text)
			}
		}
	}
	layers := []run.Layer{{Name: "cache"}, {Name: "zstd", Hits: new(int64(5))}, {}}
	if text := Text(steady(layered(at(1000, "cache | zstd | sqlite"), layers...))); strings.Contains(text, "What the layers did") {
		t.Errorf("layers that did nothing gave\n%s", text)
	}
}

// Where every load is of another entity, with cold caches on purpose, nobody is told to
// leave out what helps with hot ones, and what makes the run longer is another flag.
func TestRecoveryIsNoReasonToLeaveACacheOut(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	s := run.Stack{
		Text: "cache | singleflight | memory", OpsPerSecond: 10, Rounds: []run.Round{{Seconds: 0.1, OpsPerSecond: 10}},
		Loads: run.Latency{Count: 2000, P50: 1e-6, P99: 1e-6},
		Layers: []run.Layer{
			{Name: "cache", Loads: 2000, Hits: n(0), HeldBytes: n(50), LimitBytes: n(100)},
			{Name: "singleflight", Loads: 2000, Shared: n(0)},
			{Name: "memory", Loads: 2000},
		},
	}
	r := run.Run{Format: 1, Workload: run.Workload{Scenario: "recovery", IDs: 2000}, Stacks: []run.Stack{s}}
	got := strings.Join(strings.Fields(Text(r)), " ")
	if strings.Contains(got, "leave it out") || strings.Contains(got, "leaving it out") || !strings.Contains(got, "Run longer (-rounds)") {
		t.Errorf("got %s", got)
	}
	r.Workload.Scenario = "mixed"
	got = strings.Join(strings.Fields(Text(r)), " ")
	if !strings.Contains(got, "leave it out") || !strings.Contains(got, "leaving it out") || !strings.Contains(got, "Run longer (-duration)") {
		t.Errorf("in another scenario: %s", got)
	}
}

func TestWakesThatWereDueAreCounted(t *testing.T) {
	s := run.Stack{Text: "memory", OpsPerSecond: 3500, Rounds: []run.Round{{Seconds: 9, OpsPerSecond: 3500}},
		Loads: run.Latency{Count: 15750, P50: 1e-3, P99: 1e-3}, Saves: run.Latency{Count: 15750, P50: 1e-3, P99: 1e-3}}
	r := run.Run{Format: 1, Workload: run.Workload{Scenario: "steady", IDs: 10, Rate: 3000}, Stacks: []run.Stack{s}}
	if got := strings.Join(strings.Fields(Text(r)), " "); !strings.Contains(got, "did 1,750 of the 3,000 operations a second that were due") {
		t.Errorf("got %s", got)
	}
}
