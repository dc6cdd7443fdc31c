// Command snapstack lists, reads, writes, copies, verifies and tidies the snapshots of any
// stack, named by its text form (package store/stack):
//
//	go run ./cmd/snapstack stat 'sqlite(path=snapshots.db)'
//	go run ./cmd/snapstack copy 'sqlite(path=snapshots.db)' 'zstd | objectstore(url=s3://bucket?region=r)'
//
// Run without arguments it explains the commands. What a command finds goes to
// stdout; progress, if stderr is a terminal, and whatever is wrong go to stderr. The
// exit status is 0 where all went well, 1 where something failed, was not found or is
// corrupt, 2 where the command line is wrong (nothing was opened or created), and 130
// where Ctrl-C or SIGTERM ended the command early.
//
// Of the libraries used beside those of the layers, jedib0t/go-pretty draws the
// progress and dustin/go-humanize writes sizes and large numbers; golang.org/x/term
// tells whether stderr is a terminal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/snapstack/snapstack/store"
)

// Exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells say it of SIGINT
)

const usage = `Usage: snapstack COMMAND [flags] STACK ...

  ls STACK [ID]            the snapshots, or those of one persistence id, newest first:
                           sequence number, stored bytes and id, separated by tabs
  stat STACK               how many ids, snapshots and stored bytes there are
  get [-seq N] [-o FILE] STACK ID
                           write the latest state, or that at N, to stdout or to FILE
  put [-time T] STACK ID N [FILE]
                           save a state from FILE or stdin at the sequence number N,
                           with the timestamp T (RFC 3339) instead of now
  rm STACK ID N            delete the snapshots of ID up to and including N; all of them
                           where N is "all"
  copy [-resume] [-verify=false] [-parallel N] SRC DST
                           save every snapshot of SRC in DST, oldest first, then read
                           both and compare. A copy that was interrupted can be repeated;
                           -resume does not read again what DST has at the same number
  verify [-parallel N] STACK [ID]
                           read every snapshot and report those that can't be
  sweep STACK              remove what a delta left behind: the bases that no snapshot needs
                           and that are eight days old; the application may be running

copy and verify work on N ids at once, 16 where it is not given: each takes the memory of
a state or two, and a bucket that is far away is worth more.

A stack is written outermost layer first, as on one line of configuration:

  cache(size=64MiB) | zstd(level=fastest) | sqlite(path=a.db,sync=full)

` + "`go doc ./store/stack`" + ` lists the layers and their options. Commands that only read create
no file and no directory. Flags come before STACK. In ls an id that holds tabs, line
breaks or the like is written as a Go string.
`

// errUsage is matched by errors of the command line.
var errUsage = errors.New("wrong command line")

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

// A command is what a name on the command line stands for.
type command struct {
	flags func(*flag.FlagSet, *arguments)
	most  int // arguments behind the flags
	least int
	run   func(ctx context.Context, in arguments) error
}

// arguments is what a command is given.
type arguments struct {
	positional     []string
	stdin          io.Reader
	stdout, stderr io.Writer

	seq    string
	output string
	time   string
	resume bool
	verify bool

	parallel int // ids at once
}

var commands = map[string]command{
	"ls":   {least: 1, most: 2, run: list},
	"stat": {least: 1, most: 1, run: stat},
	"get": {least: 2, most: 2, run: get, flags: func(f *flag.FlagSet, in *arguments) {
		f.StringVar(&in.seq, "seq", "", "")
		f.StringVar(&in.output, "o", "", "")
	}},
	"put": {least: 3, most: 4, run: put, flags: func(f *flag.FlagSet, in *arguments) {
		f.StringVar(&in.time, "time", "", "")
	}},
	"rm": {least: 3, most: 3, run: remove},
	"copy": {least: 2, most: 2, run: copyAll, flags: func(f *flag.FlagSet, in *arguments) {
		f.BoolVar(&in.resume, "resume", false, "")
		f.BoolVar(&in.verify, "verify", true, "")
		parallelFlag(f, in)
	}},
	"verify": {least: 1, most: 2, run: verify, flags: parallelFlag},
	"sweep":  {least: 1, most: 1, run: sweep},
}

// parallelFlag defines -parallel.
func parallelFlag(f *flag.FlagSet, in *arguments) {
	in.parallel = 16
	f.Func("parallel", "", func(text string) (err error) {
		if in.parallel, err = strconv.Atoi(text); err != nil || in.parallel < 1 {
			return errors.New("allowed are whole numbers from 1")
		}
		return nil
	})
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once, should a store hang.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the command without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		if _, err := io.WriteString(stdout, usage); err != nil {
			return exitFailed
		}
		return exitOK
	}
	err := execute(ctx, args, arguments{stdin: stdin, stdout: stdout, stderr: stderr})
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "snapstack: %v\n", err) // if stderr can't be written, the exit status is left to tell
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return exitFailed
}

func execute(ctx context.Context, args []string, in arguments) error {
	name := args[0]
	c, known := commands[name]
	if !known {
		return usagef("unknown command %q; allowed are ls, stat, get, put, rm, copy, verify and sweep", name)
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the caller shows the error
	if c.flags != nil {
		c.flags(flags, &in)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return usagef("%s: %v (snapstack help lists the flags)", name, err)
	}
	in.positional = flags.Args()
	if n := len(in.positional); n < c.least || n > c.most {
		return usagef("%s: %d arguments; wanted is %s", name, n, synopsis(name))
	}
	return c.run(ctx, in)
}

// synopsis returns the line of the usage that shows the command.
func synopsis(name string) string {
	for line := range strings.Lines(usage) {
		if rest, ok := strings.CutPrefix(line, "  "+name+" "); ok {
			words, _, _ := strings.Cut(rest, "   ")
			return name + " " + strings.TrimSpace(words)
		}
	}
	return name
}

// closing returns err joined with that of closing s.
func closing(s store.SnapshotStore, err error) error { return errors.Join(err, s.Close()) }
