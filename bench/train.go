package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// trainDictionary writes a dictionary for the states to a new file and says what it
// is good for; it returns the exit status.
func trainDictionary(ctx context.Context, cfg config, stdout, stderr io.Writer) int {
	states := cfg.opts.States
	// Judged by every fourth state, with a dictionary that was made of the others.
	var samples, heldBack [][]byte
	for i, state := range states {
		if i%4 == 3 {
			heldBack = append(heldBack, state)
		} else {
			samples = append(samples, state)
		}
	}
	trial, err := compress.Train(samples, cfg.trainBytes)
	if err != nil {
		return refuseToTrain(err, stderr)
	}
	with, err := storedBytes(ctx, compress.Options{Dictionaries: [][]byte{trial}}, heldBack)
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	without, err := storedBytes(ctx, compress.Options{}, heldBack)
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}

	start := time.Now()
	dictionary, err := compress.Train(states, cfg.trainBytes)
	if err != nil {
		return refuseToTrain(err, stderr)
	}
	took := time.Since(start)
	id, err := compress.DictionaryID(dictionary)
	if err == nil {
		err = createFile(cfg.train, dictionary)
	}
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	text := fmt.Sprintf("%s: a dictionary of %s with id %d, trained in %s from %d states\n",
		cfg.train, humanize.IBytes(uint64(len(dictionary))), id, took.Round(time.Millisecond), len(states))
	if len(heldBack) > 0 {
		text += fmt.Sprintf("%d of them, with a dictionary of the others: %s, %.2f times smaller than the %s without\n",
			len(heldBack), humanize.IBytes(uint64(with)), float64(without)/float64(with), humanize.IBytes(uint64(without)))
	}
	return write(text, stdout, stderr)
}

// refuseToTrain reports an error of compress.Train: what is wrong is the states.
func refuseToTrain(err error, stderr io.Writer) int {
	complain(stderr, fmt.Errorf("-train: %w", err))
	return exitUsage
}

// createFile writes a file that was not there. One that was may be the dictionary of
// snapshots, and nothing would read them again.
func createFile(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("-train: %w; allowed is the path of a file that does not exist", err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("-train: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// storedBytes returns how many bytes the states take, stored with these options.
func storedBytes(ctx context.Context, opts compress.Options, states [][]byte) (total int64, err error) {
	backend, err := memory.New(memory.Options{})
	if err != nil {
		return 0, err
	}
	s, err := compress.New(backend, opts)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for i, state := range states {
		if err := s.Save(ctx, store.Snapshot{PersistenceID: "state", SequenceNr: uint64(i), State: state}); err != nil {
			return 0, err
		}
	}
	for info, err := range store.List(ctx, s, "") {
		if err != nil {
			return 0, err
		}
		total += info.StoredBytes
	}
	return total, nil
}
