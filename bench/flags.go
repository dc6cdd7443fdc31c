package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/store/stack"
)

const help = `Usage: go run ./bench [flags]

Runs the same loads and saves over several stacks of snapshot stores, checks every
read, and prints a table that compares them.

  -stack TEXT       a stack to measure; repeat it for more. Ratios are to the first.
                    Without -stack: a few stacks in a temporary folder.
  -vary TEXT        measure each stack with several values of an option, as
                    size=8MiB,64MiB or zstd.level=fastest,better; repeat it for more
  -states PATH      a file whose bytes are one state, or a folder of such files; repeat
                    it for more. A .json file that holds an array is one state per
                    element. Without -states: 64 generated JSON states of 1 KiB to 4 MiB.
  -duration TIME    measured time of each stack (default 2s)
  -concurrency N    operations in flight (default 8)
  -reads SHARE      share of operations that load the latest snapshot, 0 to 1; the others
                    save the next one (default 0.9)
  -ids N            entities, of which a few are hot (default 200)
  -seed N           seed of the generated states and of the choice of operations (default 1)
  -json, -csv, -gobench
                    print that in place of the table; benchstat reads the last
  -train FILE       compare nothing: train a dictionary from -states, for small states that
                    resemble each other, and write it to FILE, which must not exist
  -train-size SIZE  size of that dictionary, 1KiB to 1MiB (default 64KiB)

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
  go run ./bench -states snapshots/ -stack 'sqlite(path=a.db)' -stack 'zstd | sqlite(path=b.db)'
  go run ./bench -states snapshots/ -train states.dict
  go run ./bench -states snapshots/ -stack 'zstd | memory' -stack 'zstd(dict=states.dict) | memory'
  go run ./bench -stack 'cache | sqlite(path=a.db)' -vary size=1MiB,8MiB,64MiB
`

// A config is what the command line asks for.
type config struct {
	stacks []stack.Spec // none for the default ones
	states []string     // paths; none for generated states
	vary   []string     // options and their values
	format func(config, []workload.Result) (string, error)
	temp   string // the folder of the default stacks; empty where there are others
	opts   workload.Options

	train      string // the path of the dictionary to train instead of comparing; empty for none
	trainBytes int
}

// parseFlags reads and checks the command line. It returns flag.ErrHelp where help
// was asked for, and opens nothing.
func parseFlags(args []string) (config, error) {
	cfg := config{trainBytes: 64 << 10, opts: workload.Options{IDs: 200, Reads: 0.9, Duration: 2 * time.Second, Concurrency: 8, Seed: 1}}
	var texts []string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the caller shows the error
	flags.Func("stack", "", func(value string) error {
		texts = append(texts, value)
		return nil
	})
	flags.Func("vary", "", func(value string) error {
		cfg.vary = append(cfg.vary, value)
		return nil
	})
	formats := 0
	for name, format := range map[string]func(config, []workload.Result) (string, error){"json": asJSON, "csv": asCSV, "gobench": asGoBench} {
		flags.BoolFunc(name, "", func(string) error {
			cfg.format = format
			formats++
			return nil
		})
	}
	flags.Func("states", "", func(value string) error {
		if value == "" { // a shell variable that is not set; it would mean the current folder
			return errors.New("allowed is the path of a file or a folder")
		}
		cfg.states = append(cfg.states, value)
		return nil
	})
	// The errors follow the words: invalid value "x" for flag -name:
	flags.Func("duration", "", func(value string) (err error) {
		if cfg.opts.Duration, err = time.ParseDuration(value); err != nil || cfg.opts.Duration <= 0 {
			return errors.New("allowed are durations above 0, as 500ms or 10s")
		}
		return nil
	})
	flags.Func("concurrency", "", count(&cfg.opts.Concurrency, 1000)) // the histograms of each take half a megabyte
	flags.Func("ids", "", count(&cfg.opts.IDs, 1_000_000))
	flags.Func("reads", "", func(value string) (err error) {
		// Written so that it refuses NaN too.
		if cfg.opts.Reads, err = strconv.ParseFloat(value, 64); err != nil || !(cfg.opts.Reads >= 0 && cfg.opts.Reads <= 1) {
			return errors.New("allowed are shares from 0 to 1, as 0.9")
		}
		if cfg.opts.Reads == 0 {
			cfg.opts.Reads = -1 // none: 0 is the default there
		}
		return nil
	})
	flags.Func("seed", "", func(value string) (err error) {
		if cfg.opts.Seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			return errors.New("allowed are whole numbers from 0 to 18446744073709551615")
		}
		return nil
	})
	flags.Func("train", "", func(value string) error {
		if _, err := os.Lstat(value); value == "" || !errors.Is(err, fs.ErrNotExist) {
			return errors.New("allowed is the path of a file that does not exist")
		}
		cfg.train = value
		return nil
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
	if cfg.train != "" && (len(cfg.states) == 0 || len(texts) > 0) {
		return config{}, errors.New("-train needs -states to train from, and takes no -stack")
	}
	if formats > 1 {
		return config{}, errors.New("allowed is one of -json, -csv and -gobench")
	}
	for _, text := range texts {
		spec, err := stack.Parse(text)
		if err == nil {
			spec, err = withKeep(spec)
		}
		if err != nil {
			return config{}, fmt.Errorf("-stack: %w", err)
		}
		cfg.stacks = append(cfg.stacks, spec)
	}
	if len(cfg.vary) > 0 && len(cfg.stacks) == 0 {
		return config{}, errors.New("-vary needs -stack, with the stacks to vary")
	}
	for _, text := range cfg.vary {
		var err error
		if cfg.stacks, err = vary(cfg.stacks, text); err != nil {
			return config{}, fmt.Errorf("-vary: %w", err)
		}
	}
	return cfg, nil
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
