package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/bench/run"
	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/objectstore/simulate"
	"github.com/snapstack/snapstack/store/stack"
)

// help returns the text of -help.
func help() string {
	var scenarios, names strings.Builder
	for _, s := range workload.Scenarios() {
		fmt.Fprintf(&scenarios, "                      %-9s %s\n", s, s.Meaning())
	}
	for _, p := range presets {
		fmt.Fprintf(&names, "                      %-9s %s\n", p.name, p.meaning)
	}
	return strings.NewReplacer("SCENARIOS\n", scenarios.String(), "PRESETS\n", names.String()).Replace(helpText)
}

const helpText = `Usage: go run ./bench [flags]

Runs the same loads and saves over several stacks of snapshot stores, checks every
read, and prints what each did, what it took, and what to make of it.

Which stacks:
  -stack TEXT         a stack to measure; repeat it for more. Ratios are to the first.
  -stacks FILE        the stacks in a file, one on each line; # begins a comment
  -preset NAME        stacks in a temporary folder; default is what runs without any flag
PRESETS
  -vary TEXT          measure each stack with several values of an option, as
                      size=8MiB,64MiB or zstd.level=fastest,better; repeat it for more
  -backend-latency T  wait so long before each operation of a backend, to see the stacks on
                      a slower one: 20ms, or load=20ms,save=1ms

Which work:
  -scenario NAME      what is done to the entities (default mixed)
SCENARIOS
  -states PATH        a file whose bytes are one state, or a folder of such files; repeat
                      it for more. A .json file that holds an array is one state per
                      element. Without -states they are generated: JSON
  -size RANGE         sizes of generated states, as 1KiB-4MiB or 64KiB
  -incompressible SHARE
                      share of generated states that is bytes of chance (default 0)
  -change SHARE       share of a state that differs from the one saved before it, 0 for all
  -ids N              entities
  -reads SHARE        share of operations that load the latest snapshot, 0 to 1; the others
                      save the next one
  -skew N             how much hotter hot entities are, above 1; 0 makes all equal
  -every N            events between saves, in the scenario steady (default 10)
  -concurrency N      operations in flight
  -rate N             operations due a second, or wakes in the scenario steady, whether or not
                      the stack keeps up (an open loop): their latency counts from then.
                      Without it an operation begins when another ends.
  -duration TIME      measured time of each stack, all rounds together (default 2s)
  -rounds N           turns that each stack takes, one after the other (default 5)
  -warmup TIME        time before that, which is not measured (default one turn)
  -seed N             seed of the generated states and of the choice of operations (default 1)

What comes out:
  -o FILE             write a report with plots: a page of HTML that needs nothing else
  -json, -csv, -gobench
                      print that in place of the tables; benchstat reads the last
  -save FILE          keep the run in a new file
  -compare FILE       compare with a run that was kept
  -prices LIST        dollars for a thousand PUT and LIST requests, a thousand GET, and a GB
                      kept for a month (default put=0.005,get=0.0004,storage=0.023)

  -train FILE         compare nothing: train a dictionary from -states, for small states that
                      resemble each other, and write it to FILE, which must not exist
  -train-size SIZE    size of that dictionary, 1KiB to 1MiB (default 64KiB)

A stack is written outermost layer first, as on one line of configuration:

  cache(size=64MiB,ttl=5m) | singleflight | zstd(level=fastest) | sqlite(path=a.db,sync=full)

` + "`go doc ./store/stack`" + ` lists the layers and their options. A backend without keep gets
keep=3, or the snapshots of a run would pile up; keep=0 keeps all. A run saves under ids
that begin with snapstack-bench- and deletes them at its end; it touches nothing else.

Ctrl-C ends a run early and shows what was measured until then; pressed again, it ends the
command at once. The exit status is 1 where a read was stale or wrong or something failed,
and 2 where the command line or a state is wrong.

Examples:

  go run ./bench
  go run ./bench -o report.html
  go run ./bench -states snapshots/ -stack 'sqlite(path=a.db)' -stack 'zstd | sqlite(path=b.db)'
  go run ./bench -stack 'cache | sqlite(path=a.db)' -vary size=1MiB,8MiB,64MiB
  go run ./bench -scenario recovery -preset buckets -backend-latency 20ms
  go run ./bench -scenario steady -rate 2000 -preset layers
  go run ./bench -states snapshots/ -train states.dict
  go run ./bench -states snapshots/ -stack 'zstd | memory' -stack 'zstd(dict=states.dict) | memory'
`

// A config is what the command line asks for.
type config struct {
	stacks []stack.Spec // none until the preset has a folder
	preset preset       // where no stacks are named
	temp   string       // the folder of the preset; empty where there are others
	delay  delay
	states []string // paths; none for generated states
	opts   workload.Options
	prices run.Prices

	format func(run.Run) (string, error) // nil for the tables
	report string                        // path of the page; empty for none
	save   string                        // path of the file to keep the run in; empty for none
	old    *run.Run                      // to compare with; nil for none

	train      string // the path of the dictionary to train instead of comparing; empty for none
	trainBytes int
}

// warmup returns how long a stack warms up.
func (c config) warmup() time.Duration {
	switch {
	case c.opts.Warmup < 0:
		return 0
	case c.opts.Warmup == 0:
		return c.opts.Duration / time.Duration(c.opts.Rounds)
	}
	return c.opts.Warmup
}

// parseFlags reads and checks the command line. It returns flag.ErrHelp where help
// was asked for, and opens no stack.
func parseFlags(args []string) (config, error) {
	prices := simulate.S3Prices()
	cfg := config{
		trainBytes: 64 << 10,
		opts:       workload.Options{Seed: 1},
		prices:     run.Prices{Name: "S3 Standard in us-east-1, 2026", Put: prices.PutList, Get: prices.Get, Storage: prices.GBMonth},
	}
	var texts, vary []string
	presetName := ""
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the caller shows the error
	// The errors follow the words: invalid value "x" for flag -name:
	flags.Func("stack", "", appendTo(&texts))
	flags.Func("stacks", "", func(path string) error {
		more, err := stackTexts(path)
		texts = append(texts, more...)
		return err
	})
	flags.Func("preset", "", func(name string) (err error) {
		presetName = name
		cfg.preset, err = findPreset(name)
		return err
	})
	flags.Func("vary", "", appendTo(&vary))
	flags.Func("backend-latency", "", func(value string) (err error) {
		cfg.delay, err = parseDelay(value)
		return err
	})
	flags.Func("scenario", "", func(name string) (err error) {
		cfg.opts.Scenario, err = workload.ParseScenario(name)
		return err
	})
	flags.Func("states", "", func(value string) error {
		if value == "" { // a shell variable that is not set; it would mean the current folder
			return errors.New("allowed is the path of a file or a folder")
		}
		cfg.states = append(cfg.states, value)
		return nil
	})
	flags.Func("size", "", func(value string) (err error) {
		cfg.opts.MinBytes, cfg.opts.MaxBytes, err = parseSizes(value)
		return err
	})
	flags.Func("incompressible", "", func(value string) error { return parseShare(value, &cfg.opts.Incompressible) })
	flags.Func("change", "", shareOrNone(&cfg.opts.Change))
	flags.Func("ids", "", count(&cfg.opts.IDs, 1_000_000))
	flags.Func("reads", "", shareOrNone(&cfg.opts.Reads))
	flags.Func("skew", "", func(value string) (err error) {
		cfg.opts.Skew, err = strconv.ParseFloat(value, 64)
		if err != nil || !(cfg.opts.Skew == 0 || cfg.opts.Skew > 1 && cfg.opts.Skew <= 100) {
			return errors.New("allowed are numbers above 1 to 100, as 1.1, and 0")
		}
		if cfg.opts.Skew == 0 {
			cfg.opts.Skew = -1 // none: 0 is the default there
		}
		return nil
	})
	flags.Func("every", "", count(&cfg.opts.Every, 1_000_000))
	flags.Func("concurrency", "", count(&cfg.opts.Concurrency, 1000)) // the histograms of each take half a megabyte
	flags.Func("rate", "", func(value string) (err error) {
		if cfg.opts.Rate, err = strconv.ParseFloat(value, 64); err != nil || !(cfg.opts.Rate > 0 && cfg.opts.Rate <= 1e9) {
			return errors.New("allowed are numbers above 0, as 2000")
		}
		return nil
	})
	flags.Func("duration", "", func(value string) (err error) {
		if cfg.opts.Duration, err = time.ParseDuration(value); err != nil || cfg.opts.Duration <= 0 {
			return errors.New("allowed are durations above 0, as 500ms or 10s")
		}
		return nil
	})
	flags.Func("rounds", "", count(&cfg.opts.Rounds, 1000))
	flags.Func("warmup", "", func(value string) (err error) {
		if cfg.opts.Warmup, err = time.ParseDuration(value); err != nil || cfg.opts.Warmup < 0 {
			return errors.New("allowed are durations, as 500ms or 10s, and 0s")
		}
		if cfg.opts.Warmup == 0 {
			cfg.opts.Warmup = -1 // none: 0 is the default there
		}
		return nil
	})
	flags.Func("seed", "", func(value string) (err error) {
		if cfg.opts.Seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			return errors.New("allowed are whole numbers from 0 to 18446744073709551615")
		}
		return nil
	})
	formats := 0
	for name, format := range map[string]func(run.Run) (string, error){"json": asJSON, "csv": asCSV, "gobench": asGoBench} {
		flags.BoolFunc(name, "", func(string) error {
			cfg.format = format
			formats++
			return nil
		})
	}
	flags.Func("o", "", func(path string) error {
		cfg.report = path
		return writable(path)
	})
	flags.Func("save", "", func(path string) error {
		cfg.save = path
		return absent(path)
	})
	flags.Func("compare", "", func(path string) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close() // it was only read
		old, err := run.Read(file)
		cfg.old = &old
		return err
	})
	flags.Func("prices", "", func(value string) (err error) {
		cfg.prices, err = parsePrices(value, cfg.prices)
		return err
	})
	flags.Func("train", "", func(path string) error {
		cfg.train = path
		return absent(path)
	})
	flags.Func("train-size", "", func(value string) error {
		size, err := humanize.ParseBytes(value)
		if err != nil || size < 1<<10 || size > 1<<20 {
			return errors.New("allowed are sizes from 1KiB to 1MiB, as 16KiB")
		}
		cfg.trainBytes = int(size)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return config{}, err
		}
		return config{}, fmt.Errorf("%w (-help lists the flags)", err)
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q: stacks and states are given by -stack and -states, each repeated for more", flags.Arg(0))
	}
	switch {
	case cfg.train != "" && (len(cfg.states) == 0 || len(texts) > 0):
		return config{}, errors.New("-train needs -states to train from, and takes no -stack")
	case formats > 1:
		return config{}, errors.New("allowed is one of -json, -csv and -gobench")
	case presetName != "" && len(texts) > 0:
		return config{}, errors.New("allowed is either -preset, or stacks by -stack and -stacks")
	case len(vary) > 0 && len(texts) == 0:
		return config{}, errors.New("-vary needs -stack, with the stacks to vary")
	case len(cfg.states) > 0 && (cfg.opts.MinBytes > 0 || cfg.opts.Incompressible > 0):
		return config{}, errors.New("-size and -incompressible are of generated states; allowed are they or -states")
	}
	var err error
	if cfg.opts, err = cfg.opts.Resolve(); err != nil {
		return config{}, err
	}
	if cfg.stacks, err = parseStacks(texts, vary); err != nil {
		return config{}, err
	}
	if len(texts) == 0 && presetName == "" {
		cfg.preset = presets[0]
	}
	return cfg, nil
}

// parseStacks returns the stacks that are named, varied.
func parseStacks(texts, varied []string) ([]stack.Spec, error) {
	var specs []stack.Spec
	for _, text := range texts {
		spec, err := stack.Parse(text)
		if err == nil {
			spec, err = withKeep(spec)
		}
		if err != nil {
			return nil, fmt.Errorf("-stack: %w", err)
		}
		specs = append(specs, spec)
	}
	for _, text := range varied {
		var err error
		if specs, err = vary(specs, text); err != nil {
			return nil, fmt.Errorf("-vary: %w", err)
		}
	}
	return specs, nil
}

// appendTo returns what appends a value.
func appendTo(values *[]string) func(string) error {
	return func(value string) error {
		*values = append(*values, value)
		return nil
	}
}

// count returns what reads a whole number from 1 to most.
func count(n *int, most int) func(value string) error {
	return func(value string) (err error) {
		if *n, err = strconv.Atoi(value); err != nil || *n < 1 || *n > most {
			return fmt.Errorf("allowed are whole numbers from 1 to %d", most)
		}
		return nil
	}
}

func parseShare(value string, share *float64) (err error) {
	// Written so that it refuses NaN too.
	if *share, err = strconv.ParseFloat(value, 64); err != nil || !(*share >= 0 && *share <= 1) {
		return errors.New("allowed are shares from 0 to 1, as 0.9")
	}
	return nil
}

// shareOrNone returns what reads a share, for an option of which 0 is the default and a
// negative one none.
func shareOrNone(share *float64) func(value string) error {
	return func(value string) error {
		if err := parseShare(value, share); err != nil {
			return err
		}
		if *share == 0 {
			*share = -1
		}
		return nil
	}
}

// parseSizes reads one size, or two with "-" between them.
func parseSizes(value string) (least, most int, err error) {
	low, high, ranged := strings.Cut(value, "-")
	if !ranged {
		high = low
	}
	for _, one := range []struct {
		text string
		size *int
	}{{low, &least}, {high, &most}} {
		n, err := humanize.ParseBytes(strings.TrimSpace(one.text))
		if err != nil || n < 1<<10 || n > 64<<20 {
			return 0, 0, errors.New("allowed are sizes from 1KiB to 64MiB, as 1KiB-4MiB or 64KiB")
		}
		*one.size = int(n)
	}
	if least > most {
		return 0, 0, errors.New("allowed is the smaller size first, as 1KiB-4MiB")
	}
	return least, most, nil
}

// parseDelay reads a duration for everything, or one for loads, saves or both.
func parseDelay(value string) (delay, error) {
	allowed := errors.New("allowed are durations of 0 to 1m, as 20ms, or load=20ms,save=1ms")
	duration := func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > time.Minute {
			return 0, allowed
		}
		return d, nil
	}
	if !strings.Contains(value, "=") {
		d, err := duration(value)
		return delay{load: d, save: d}, err
	}
	var all delay
	for part := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(part, "=")
		d, err := duration(text)
		switch {
		case err != nil:
			return delay{}, err
		case name == "load":
			all.load = d
		case name == "save":
			all.save = d
		default:
			return delay{}, allowed
		}
	}
	return all, nil
}

// parsePrices reads prices over those that are there.
func parsePrices(value string, prices run.Prices) (run.Prices, error) {
	prices.Name = "the prices given"
	for part := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(part, "=")
		price, err := strconv.ParseFloat(text, 64)
		if err != nil || !(price >= 0 && price <= 1e6) || !slices.Contains([]string{"put", "get", "storage"}, name) {
			return run.Prices{}, errors.New("allowed are put, get and storage with dollars, as put=0.005,get=0.0004,storage=0.023")
		}
		switch name {
		case "put":
			prices.Put = price
		case "get":
			prices.Get = price
		default:
			prices.Storage = price
		}
	}
	return prices, nil
}

// absent returns an error unless nothing is at path, and something can be.
func absent(path string) error {
	if _, err := os.Lstat(path); path == "" || !errors.Is(err, fs.ErrNotExist) {
		return errors.New("allowed is the path of a file that does not exist")
	}
	return writable(path)
}

// writable returns an error where path can't be that of a file to write: before a run
// rather than after it.
func writable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() || path == "" {
		return errors.New("allowed is the path of a file to write")
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("allowed is the path of a file in a folder that is there, which %s is not", filepath.Dir(path))
	}
	return nil
}
