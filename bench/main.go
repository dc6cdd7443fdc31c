// Command bench tells which stack to run: it does the same work on several, on
// generated states or on the user's own, checks every read, and says what each did, what
// that took, and what to make of it:
//
//	go run ./bench
//	go run ./bench -o report.html
//	go run ./bench -states snapshots/ -stack 'sqlite(path=a.db)' -stack 'cache | zstd | sqlite(path=b.db)'
//
// or trains a dictionary for zstd from them:
//
//	go run ./bench -states snapshots/ -train states.dict
//
// -help explains the flags, package bench/workload the work and what it checks, and
// package bench/run what -json prints and -save keeps. The tables and the advice go to
// stdout; progress, if stderr is a terminal, and whatever
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
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/snapstack/snapstack/bench/advice"
	"github.com/snapstack/snapstack/bench/report"
	"github.com/snapstack/snapstack/bench/run"
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
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command is the command without the process around it; it returns the exit status.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	cfg, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		return write(help(), stdout, stderr)
	}
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	if len(cfg.states) > 0 {
		cfg.opts.States, err = loadStates(cfg.states)
	} else {
		cfg.opts.States, err = workload.GenerateFor(cfg.opts)
	}
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	if cfg.old != nil {
		// Before minutes of measuring rather than after.
		if err := run.Comparable(cfg.old.Workload, newWorkload(cfg)); err != nil {
			complain(stderr, fmt.Errorf("-compare: %w", err))
			return exitUsage
		}
	}
	if cfg.train != "" {
		return trainDictionary(ctx, cfg, stdout, stderr)
	}
	if len(cfg.stacks) == 0 {
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
			cfg.stacks, err = cfg.preset.specs(cfg.temp)
		}
		if err != nil {
			complain(stderr, err)
			return exitFailed
		}
	}
	for i, spec := range cfg.stacks {
		for _, warning := range spec.Warnings() {
			complain(stderr, fmt.Errorf("stack %d, a warning: %s", i+1, warning))
		}
	}
	return compare(ctx, cfg, targets(cfg), stdout, stderr)
}

// compare runs the workload and reports on it; it returns the exit status.
func compare(ctx context.Context, cfg config, targets []workload.Target, stdout, stderr io.Writer) int {
	started := time.Now()
	progress := newProgress(stderr)
	cfg.opts.Progress = progress.update
	results, err := workload.Run(ctx, targets, cfg.opts)
	progress.end()
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	r := newRecord(cfg, started, ctx.Err() != nil, results)
	status := exitOK
	// A run is kept before anything else can go wrong with it.
	for _, err := range []error{keepRun(cfg, r), writeReport(cfg, r), show(cfg, r, stdout)} {
		if err != nil {
			complain(stderr, err)
			status = exitFailed
		}
	}
	if ctx.Err() != nil {
		complain(stderr, errors.New("interrupted: the tables show what was measured until then"))
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

// keepRun writes the run to a new file, if that was asked for.
func keepRun(cfg config, r run.Run) error {
	if cfg.save == "" {
		return nil
	}
	file, err := os.OpenFile(cfg.save, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("-save: %w", err)
	}
	if err := errors.Join(run.Write(file, r), file.Close()); err != nil {
		return fmt.Errorf("-save: %w", err)
	}
	return nil
}

// writeReport writes the page of the run, if that was asked for.
func writeReport(cfg config, r run.Run) error {
	if cfg.report == "" {
		return nil
	}
	var page bytes.Buffer // a page that can't be made must not replace another
	err := report.Write(&page, r, cfg.old)
	if err == nil {
		err = os.WriteFile(cfg.report, page.Bytes(), 0o666)
	}
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	return nil
}

// show prints the run.
func show(cfg config, r run.Run, stdout io.Writer) error {
	var text string
	var err error
	if cfg.format != nil {
		text, err = cfg.format(r)
	} else {
		text = describe(r) + legend(r, cfg.temp) + table(r) + "\n" + costs(r) + notes + "\n"
		if cfg.old != nil {
			changes, err := run.Compare(*cfg.old, r)
			if err != nil {
				return fmt.Errorf("-compare: %w", err)
			}
			text += changed(*cfg.old, changes) + "\n"
		}
		text += advice.Text(r)
	}
	if err == nil {
		_, err = io.WriteString(stdout, text)
	}
	return err
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
