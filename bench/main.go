// Command bench runs one workload over several stacks and compares them, on
// generated states or on the user's own:
//
//	go run ./bench
//	go run ./bench -states snapshots/ -stack 'sqlite(path=a.db)' -stack 'cache | zstd | sqlite(path=b.db)'
//
// or trains a dictionary for zstd from them:
//
//	go run ./bench -states snapshots/ -train states.dict
//
// -help explains the flags, and package bench/workload the workload and what it
// checks. The table goes to stdout; progress, if stderr is a terminal, and whatever
// is wrong go to stderr. The exit status is 0 where every read of every stack was
// right, 1 where one was not, an operation failed or a stack could not be measured,
// 2 where the command line or a states file is wrong (nothing was opened or
// created), and 130 where Ctrl-C or SIGTERM ended the run early.
//
// Of the libraries used beside those of the layers and of package workload,
// jedib0t/go-pretty draws the table and the progress, dustin/go-humanize writes
// sizes and large numbers, and golang.org/x/term tells whether stderr is a terminal
// and how wide.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/snapstack/snapstack/bench/workload"
)

// Exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells say it of SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once, should a store hang.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	cfg, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		return write(help, stdout, stderr)
	}
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	if len(cfg.states) == 0 {
		cfg.opts.States = workload.Generate(cfg.opts.Seed)
	} else if cfg.opts.States, err = loadStates(cfg.states); err != nil {
		complain(stderr, err)
		return exitUsage
	}
	if cfg.train != "" {
		return trainDictionary(ctx, cfg, stdout, stderr)
	}
	stacks := cfg.stacks
	if len(stacks) == 0 {
		cfg.temp, err = os.MkdirTemp("", "snapstack-bench-")
		if err == nil {
			defer func() {
				if err := os.RemoveAll(cfg.temp); err != nil {
					complain(stderr, err)
					status = exitFailed
				}
			}()
			cfg.temp, err = filepath.Abs(cfg.temp) // a file URL holds no relative path
		}
		if err == nil {
			stacks, err = defaultStacks(cfg.temp)
		}
		if err != nil {
			complain(stderr, err)
			return exitFailed
		}
	}
	for i, spec := range stacks {
		for _, warning := range spec.Warnings() {
			complain(stderr, fmt.Errorf("stack %d, a warning: %s", i+1, warning))
		}
	}
	return compare(ctx, cfg, targets(stacks, cfg.temp), stdout, stderr)
}

// compare runs the workload and reports on it; it returns the exit status.
func compare(ctx context.Context, cfg config, targets []workload.Target, stdout, stderr io.Writer) int {
	progress := newProgress(stderr)
	cfg.opts.Progress = progress.update
	results, err := workload.Run(ctx, targets, cfg.opts)
	progress.end()
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	text := describe(cfg) + legend(results, cfg.temp) + table(results) + notes
	if cfg.format != nil {
		if text, err = cfg.format(cfg, results); err != nil {
			complain(stderr, err)
			return exitFailed
		}
	}
	status := write(text, stdout, stderr)
	if ctx.Err() != nil {
		complain(stderr, errors.New("interrupted: the table shows what was measured until then"))
		if status == exitOK {
			status = exitInterrupted
		}
	}
	for i := range results {
		for _, problem := range problems(&results[i]) {
			complain(stderr, fmt.Errorf("stack %d, %s: %s", i+1, results[i].Name, problem))
			status = exitFailed
		}
	}
	return status
}

// write writes text to stdout and returns the exit status.
func write(text string, stdout, stderr io.Writer) int {
	if _, err := io.WriteString(stdout, text); err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

// complain writes an error as one line. If stderr can't be written, only the exit
// status is left to tell.
func complain(stderr io.Writer, err error) { fmt.Fprintf(stderr, "bench: %v\n", err) }

// problems returns what was wrong with a stack, a line each.
func problems(r *workload.Result) []string {
	var lines []string
	if r.Err != nil {
		lines = append(lines, fmt.Sprintf("not measured: %v", r.Err))
	}
	if r.FirstBad != nil {
		lines = append(lines, fmt.Sprintf("%d stale and %d wrong reads, the first: %v", r.Stale, r.Wrong, r.FirstBad))
	}
	if r.FirstErr != nil {
		lines = append(lines, fmt.Sprintf("%d operations failed, the first: %v", r.Errors, r.FirstErr))
	}
	if r.EndErr != nil {
		lines = append(lines, fmt.Sprintf("after measuring: %v", r.EndErr))
	}
	return lines
}
