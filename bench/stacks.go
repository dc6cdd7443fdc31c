package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
	"github.com/snapstack/snapstack/store/storetest"
)

// stackTexts returns the texts in a file of stacks: one on each line, empty ones and
// those that begin with # left out.
func stackTexts(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()       // it was only read
	const maxBytes = 1 << 20 // of a file that somebody wrote by hand
	lines := bufio.NewScanner(io.LimitReader(file, maxBytes))
	var texts []string
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line != "" && !strings.HasPrefix(line, "#") {
			texts = append(texts, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s: holds no stack; allowed is one on each line", path)
	}
	return texts, nil
}

// withKeep returns the spec with a bound on the snapshots that its backends keep
// of an entity, unless they have one: a run saves them by the thousand. Where there is a
// delta the bound is its own.
func withKeep(spec stack.Spec) (stack.Spec, error) {
	spec = slices.Clone(spec)
	backend := &spec[len(spec)-1]
	if at := slices.IndexFunc(spec, func(l stack.Layer) bool { return l.Name == "delta" }); at >= 0 {
		backend = &spec[at]
	}
	if backend.Name == "route" {
		backend.Options = slices.Clone(backend.Options)
		for i, option := range backend.Options {
			routed, err := stack.Parse(option.Value)
			if err != nil {
				return nil, err
			}
			if routed, err = withKeep(routed); err != nil {
				return nil, err
			}
			backend.Options[i].Value = routed.String()
		}
		return spec, spec.Check()
	}
	if slices.ContainsFunc(backend.Options, func(o stack.Option) bool { return o.Name == "keep" }) {
		return spec, nil
	}
	backend.Options = append(slices.Clone(backend.Options), stack.Option{Name: "keep", Value: "3"})
	return spec, spec.Check()
}

// A delay is added to what reaches the backends, to see stacks on slower ones.
type delay struct{ load, save time.Duration }

// targets returns what opens the stacks of cfg, with what counts and delays between their
// layers.
func targets(cfg config) []workload.Target {
	all := make([]workload.Target, len(cfg.stacks))
	for i, spec := range cfg.stacks {
		all[i] = workload.Target{
			Name: nameOf(spec, cfg.temp),
			Open: func(ctx context.Context) (store.SnapshotStore, error) {
				at := len(spec) // the backend is opened first
				return spec.Open(ctx, func(_ stack.Layer, s store.SnapshotStore) store.SnapshotStore {
					at--
					if at == len(spec)-1 && cfg.delay != (delay{}) {
						s = storetest.NewLatency(s, storetest.LatencyOptions{Before: cfg.delay.of})
					}
					// A cache works with the bytes of a singleflight directly beneath it: between
					// them nothing may stand, and what one lets through the other gets.
					if at == 0 || spec[at].Name == "singleflight" && spec[at-1].Name == "cache" {
						return s
					}
					return storetest.NewCounter(s)
				})
			},
		}
	}
	return all
}

// of returns by how much an operation is delayed.
func (d delay) of(op, _ string) time.Duration {
	switch op {
	case store.OpLoadLatest, store.OpLoadBefore, store.OpList:
		return d.load
	default:
		return d.save
	}
}

// nameOf returns what the stack is called: its text, in which TEMP stands for temp.
func nameOf(spec stack.Spec, temp string) string { return shortened(spec.String(), temp) }
