package report

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/snapstack/snapstack/bench/ratio"
	"github.com/snapstack/snapstack/bench/run"
)

var update = flag.Bool("update", false, "write testdata/*.json anew from the model in samples_test.go")

// sample reads a run of testdata.
func sample(t *testing.T, name string) run.Run {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r run.Run
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

var sampleNames = []string{"eight", "empty", "failed", "interrupted", "levels", "objectstore", "one", "sizes"}

// TestSamples reads the samples or, with -update, writes them. They come from a model of
// stacks and are realistic, but nobody measured them.
func TestSamples(t *testing.T) {
	if !*update {
		for _, name := range sampleNames {
			sample(t, name)
		}
		return
	}
	for name, r := range modelled() {
		text, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(filepath.Join("testdata", name+".json"), append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A model is what a stack of the samples would do: latencies in seconds, shares of 0 to 1.
type model struct {
	text             string
	hit, miss, save  float64 // medians of a load that the cache answers, of another, and of a save
	hits, shared     float64 // shares of the loads that come to the cache, and to singleflight
	held, limit      int64   // of the cache
	stored           float64 // share of the states' bytes
	cpu              float64 // seconds per operation
	peak             int64
	requests         bool
	noise            float64 // of its rounds
	saveTail         float64 // latency of one save in 200, over the median
	failed, stopped  bool    // not opened; interrupted after the second round
	stale, wrong, er int64
}

const sampleReads = 0.9

// modelled returns the samples, always the same.
func modelled() map[string]run.Run {
	const mib = 1 << 20
	bare := model{text: `sqlite(path="TEMP/1.db",keep=3)`, miss: 62e-6, save: 210e-6, stored: 1.03, cpu: 95e-6, peak: 21 * mib, saveTail: 9}
	cached := model{text: `cache | singleflight | sqlite(path="TEMP/2.db",keep=3)`, hit: 1.4e-6, miss: 66e-6, save: 220e-6, hits: .87, shared: .04, held: 37 * mib, limit: 64 * mib, stored: 1.03, cpu: 41e-6, peak: 62 * mib, saveTail: 9}
	zstd := model{text: `cache | singleflight | zstd | sqlite(path="TEMP/3.db",keep=3)`, hit: 1.4e-6, miss: 88e-6, save: 330e-6, hits: .87, shared: .05, held: 37 * mib, limit: 64 * mib, stored: .234, cpu: 58e-6, peak: 81 * mib, saveTail: 6}
	folder := model{text: `objectstore(url="file://TEMP/4",keep=3)`, miss: 130e-6, save: 900e-6, stored: 1.04, cpu: 180e-6, peak: 24 * mib, saveTail: 14}
	memory := model{text: "memory(keep=3)", miss: 17e-6, save: 22e-6, stored: 1, cpu: 22e-6, peak: 118 * mib, saveTail: 3}
	small := cached
	small.text, small.hits, small.held, small.limit, small.peak = `cache(size=8MiB) | singleflight | sqlite(path="TEMP/5.db",keep=3)`, .61, 8*mib-70_000, 8*mib, 33*mib
	under := zstd
	under.text, under.hit, under.held, under.limit, under.peak = `zstd | cache | singleflight | sqlite(path="TEMP/6.db",keep=3)`, 24e-6, 8*mib, 64*mib, 47*mib
	alone := bare
	alone.text, alone.stored, alone.miss, alone.save, alone.cpu, alone.saveTail = `zstd | sqlite(path="TEMP/7.db",keep=3)`, .234, 84e-6, 320e-6, 132e-6, 6

	sizes := make([]model, 0, 6)
	for i, size := range []struct {
		text  string
		bytes int64
		hits  float64
	}{{"1MiB", mib, .22}, {"4MiB", 4 * mib, .47}, {"8MiB", 8 * mib, .61}, {"16MiB", 16 * mib, .74}, {"32MiB", 32 * mib, .855}, {"64MiB", 64 * mib, .87}} {
		m := cached
		m.text = fmt.Sprintf("cache(size=%s) | singleflight | sqlite(path=%q,keep=3)", size.text, fmt.Sprintf("TEMP/%d.db", i+1))
		m.hits, m.limit, m.held = size.hits, size.bytes, min(size.bytes-30_000, 37*mib)
		m.peak = 24*mib + m.held
		sizes = append(sizes, m)
	}
	levels := []model{bare}
	for i, level := range []struct {
		name        string
		stored, cpu float64
	}{{"fastest", .238, 121e-6}, {"default", .234, 140e-6}, {"better", .221, 190e-6}, {"best", .208, 610e-6}} {
		m := alone
		m.text = fmt.Sprintf("zstd(level=%s) | sqlite(path=%q,keep=3)", level.name, fmt.Sprintf("TEMP/%d.db", i+2))
		m.stored, m.cpu, m.save = level.stored, level.cpu, 180e-6+10*(level.cpu-95e-6)
		levels = append(levels, m)
	}
	bucket := model{text: `objectstore(url="s3://snapshots?endpoint=http://127.0.0.1:7070&path_style=true",keep=3)`, miss: 21e-3, save: 24e-3, stored: 1.04, cpu: 400e-6, peak: 30 * mib, requests: true, saveTail: 4}
	bucketCached := bucket
	bucketCached.text, bucketCached.hit, bucketCached.hits, bucketCached.shared = "cache | singleflight | "+bucket.text, 1.5e-6, .86, .21
	bucketCached.held, bucketCached.limit, bucketCached.cpu, bucketCached.peak = 37*mib, 64*mib, 90e-6, 71*mib
	bucketZstd := bucketCached
	bucketZstd.text, bucketZstd.stored, bucketZstd.miss, bucketZstd.save, bucketZstd.cpu = "cache | singleflight | zstd | "+bucket.text, .235, 20.6e-3, 22e-3, 112e-6

	broken := model{text: `cache | objectstore(url="s3://nowhere?endpoint=http://127.0.0.1:1",keep=3)`, failed: true}
	stale := cached
	stale.stale, stale.wrong, stale.er = 12, 0, 3
	stale.text = `"</script><script>alert(1)</script>" & 'my own cache' over <b>redis</b>`

	half := func(models ...model) []model {
		for i := range models {
			models[i].stopped = true
		}
		return models
	}
	noisy := func(m model, noise float64) model { m.noise = noise; return m }
	r := map[string]run.Run{
		"eight":       modelRun(1, bare, cached, zstd, folder, memory, small, under, alone),
		"one":         modelRun(2, zstd),
		"sizes":       modelRun(3, sizes...),
		"levels":      modelRun(4, levels...),
		"objectstore": modelRun(5, bucket, bucketCached, bucketZstd),
		"failed":      modelRun(6, bare, broken, stale),
		"interrupted": modelRun(7, half(noisy(bare, .2), noisy(cached, .25))...),
	}
	interrupted := r["interrupted"]
	interrupted.Interrupted, interrupted.Seconds = true, 2.7
	r["interrupted"] = interrupted
	empty := modelRun(8)
	empty.Interrupted, empty.Seconds = true, .2
	r["empty"] = empty
	return r
}

const sampleRounds, sampleRoundSeconds = 5, 2.0

func modelRun(seed uint64, models ...model) run.Run {
	r := run.Run{
		Format: run.Format, Started: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), Seconds: 3 + 11.5*float64(len(models)),
		Machine: run.Machine{Go: "go1.26.0", OS: "linux", Arch: "amd64", CPUs: 2},
		Workload: run.Workload{
			Scenario: "mixed", Meaning: "loads and saves of entities of which a few are hot", IDs: 200, Reads: sampleReads, Skew: 1.1, Change: .05,
			Concurrency: 8, DurationSeconds: sampleRounds * sampleRoundSeconds, WarmupSeconds: .5, Rounds: sampleRounds, Seed: 1,
			States: run.States{Generated: true, Count: 64, Bytes: 13_400_000, MinBytes: 1024, MaxBytes: 4 << 20},
		},
		Prices: run.Prices{Name: "S3 Standard, us-east-1, 2026-01", Put: .005, Get: .0004, Storage: .023},
		Stacks: []run.Stack{},
	}
	for i, m := range models {
		s := modelStack(rand.New(rand.NewPCG(seed, uint64(i))), m)
		if i == 0 || !m.failed {
			against(&s, r.Stacks)
		}
		r.Stacks = append(r.Stacks, s)
	}
	return r
}

// against fills in the ratio to the first stack.
func against(s *run.Stack, before []run.Stack) {
	first := *s
	if len(before) > 0 {
		first = before[0]
	}
	var ratios []float64
	for i := range s.Rounds {
		ratios = append(ratios, s.Rounds[i].OpsPerSecond/first.Rounds[i].OpsPerSecond)
	}
	r, _ := ratio.Of(ratios)
	s.Ratio, s.Spread = new(rounded(r.Median)), new(rounded(r.Spread))
}

func modelStack(random *rand.Rand, m model) run.Stack {
	s := run.Stack{Text: m.text, Layers: []run.Layer{}, Rounds: []run.Round{}, Timeline: []run.Bin{}, Problems: []string{}}
	if m.failed {
		s.Problems = append(s.Problems, `not measured: open: objectstore: list "": dial tcp 127.0.0.1:1: connection refused`)
		return s
	}
	near := func(median, width float64) float64 { return median * math.Exp(width*random.NormFloat64()) }
	var loads, saves []float64
	for range 40_000 {
		switch p := random.Float64(); {
		case p < m.hits:
			loads = append(loads, near(m.hit, .35))
		case random.Float64() < .004:
			loads = append(loads, near(m.miss*12, .5))
		default:
			loads = append(loads, near(m.miss, .45))
		}
	}
	for range 8_000 {
		if random.Float64() < .005 {
			saves = append(saves, near(m.save*m.saveTail, .4))
		} else {
			saves = append(saves, near(m.save, .4))
		}
	}
	mean := sampleReads*average(loads) + (1-sampleReads)*average(saves)
	ops := min(8/mean*.35, 2/m.cpu)
	rounds := sampleRounds
	if m.stopped {
		rounds = 2
	}
	noise := max(m.noise, .018)
	var total float64
	for round := range rounds {
		rate := near(ops, noise)
		s.Rounds = append(s.Rounds, run.Round{Seconds: sampleRoundSeconds, OpsPerSecond: rounded(rate), CPUSeconds: rounded(near(m.cpu, .02) * rate * sampleRoundSeconds)})
		total += rate * sampleRoundSeconds
		s.CPUSeconds += s.Rounds[round].CPUSeconds
		for bin := range 10 {
			one := near(rate, .05)
			if random.Float64() < .06 {
				one *= .55
			}
			length := sampleRoundSeconds / 10
			s.Timeline = append(s.Timeline, run.Bin{Seconds: rounded(sampleRoundSeconds*float64(round) + length*float64(bin+1)), Round: round + 1, Operations: int64(one * length), Length: length})
		}
	}
	s.CPUSeconds = rounded(s.CPUSeconds)
	s.OpsPerSecond = rounded(total / (sampleRoundSeconds * float64(rounds)))
	loadCount, saveCount := int64(total*sampleReads), int64(total*(1-sampleReads))
	s.Loads, s.Saves = modelLatency(loads, loadCount), modelLatency(saves, saveCount)
	s.Allocs, s.AllocBytes, s.PeakBytes = rounded(near(9, .2)), rounded(near(21_000, .2)), m.peak
	state := int64(200 * 3 * 70_000)
	stored := int64(float64(state) * m.stored)
	s.StateBytes, s.StoredBytes = &state, &stored
	s.Stale, s.Wrong, s.Errors = m.stale, m.wrong, m.er
	if m.stale > 0 {
		s.Problems = append(s.Problems, fmt.Sprintf(`%d stale and %d wrong reads, the first: load latest "snapstack-bench-<17>": 40 after 41 was saved`, m.stale, m.wrong))
		s.Problems = append(s.Problems, fmt.Sprintf(`%d operations failed, the first: save "snapstack-bench-3": i/o timeout`, m.er))
	}
	s.Layers = modelLayers(m, loadCount, saveCount)
	if m.requests {
		backend := s.Layers[len(s.Layers)-1]
		q := run.Requests{List: backend.Loads + backend.Saves, Get: backend.Loads, Put: backend.Saves, Delete: backend.Saves}
		dollars := (float64(q.Put+q.List)*.005 + float64(q.Get)*.0004) / 1000
		q.Dollars = rounded(dollars / float64(loadCount+saveCount) * 1e6)
		s.Requests = &q
	}
	return s
}

func modelLayers(m model, loads, saves int64) []run.Layer {
	const state = 70_000
	layers := []run.Layer{}
	bytes := float64(state)
	for text := range strings.SplitSeq(m.text, " | ") {
		name, _, _ := strings.Cut(text, "(")
		l := run.Layer{Name: name, Text: text, Loads: loads, Saves: saves, LoadBytes: int64(float64(loads) * bytes), SaveBytes: int64(float64(saves) * bytes)}
		switch name {
		case "cache":
			l.Hits, l.HeldBytes, l.LimitBytes = new(int64(float64(loads)*m.hits)), &m.held, &m.limit
			loads -= *l.Hits
		case "singleflight":
			l.Shared = new(int64(float64(loads) * m.shared))
			loads -= *l.Shared
		case "zstd":
			bytes *= m.stored
		case "sqlite":
			l.Commits = new(int64(float64(saves) / 2.7))
		}
		layers = append(layers, l)
	}
	return layers
}

func modelLatency(seconds []float64, count int64) run.Latency {
	slices.Sort(seconds)
	at := func(percentile float64) float64 {
		i := int(math.Ceil(percentile/100*float64(len(seconds)))) - 1
		return rounded(seconds[max(0, min(i, len(seconds)-1))])
	}
	l := run.Latency{Count: count, Mean: rounded(average(seconds)), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: at(100)}
	for i := 0; ; i++ { // steps of an eighth of a halving of what is left
		left := math.Exp2(-float64(i) / 8)
		if left*float64(len(seconds)) < 1 {
			break
		}
		l.Curve = append(l.Curve, run.Point{Percentile: 100 * (1 - left), Seconds: at(100 * (1 - left))})
	}
	l.Curve = append(l.Curve, run.Point{Percentile: 100, Seconds: l.Max})
	return l
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// rounded rounds to four digits, which keeps the files small.
func rounded(x float64) float64 {
	value, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		panic(err) // it was formatted a moment ago
	}
	return value
}
