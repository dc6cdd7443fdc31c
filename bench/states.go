package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
)

// All states are held in memory, and a store may hold several of each entity.
const (
	maxStateBytes  = 64 << 20
	maxStatesBytes = 1 << 30
)

// loadStates returns the states in the files and folders at paths, in the order of
// the paths and of the names in a folder.
func loadStates(paths []string) ([][]byte, error) {
	l := stateLoader{maxState: maxStateBytes, maxAll: maxStatesBytes}
	for _, path := range paths {
		if err := l.load(path); err != nil {
			return nil, fmt.Errorf("-states: %w", err)
		}
	}
	return l.states, nil
}

// A stateLoader collects states up to a limit in bytes.
type stateLoader struct {
	maxState, maxAll int64
	states           [][]byte
	bytes            int64
}

// load adds the states at path. A folder is searched through all its folders for
// files; names that begin with a dot are passed over, as they are rarely meant.
func (l *stateLoader) load(path string) error {
	// WalkDir would not enter a folder that path is only a link to.
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	before := len(l.states)
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != root && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(name) // follows a link to a file
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			return nil // entered by WalkDir, unless it is a link, which could lead around in circles
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s: is neither a file nor a folder", name)
		}
		return l.file(name)
	})
	if err == nil && len(l.states) == before {
		err = fmt.Errorf("%s: holds no states; allowed are a file, or a folder with at least one whose name does not begin with a dot", path)
	}
	return err
}

// file adds the states in one file.
func (l *stateLoader) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	// One byte more tells a file at the limit from one over it, whatever Stat says.
	data, err := io.ReadAll(io.LimitReader(f, l.maxAll-l.bytes+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > l.maxAll-l.bytes {
		return fmt.Errorf("%s: too big: more than %s of states in all; they are held in memory", name, humanize.IBytes(uint64(l.maxAll)))
	}
	if !strings.EqualFold(filepath.Ext(name), ".json") || !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("[")) {
		return l.add(name, data)
	}
	elements, err := arrayElements(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(elements) == 0 {
		return fmt.Errorf("%s: an empty JSON array; allowed is one with at least one element, each a state", name)
	}
	for i, element := range elements {
		if err := l.add(fmt.Sprintf("%s: element %d", name, i), element); err != nil {
			return err
		}
	}
	return nil
}

func (l *stateLoader) add(where string, state []byte) error {
	if int64(len(state)) > l.maxState {
		return fmt.Errorf("%s: too big: %s; allowed are states of up to %s", where, humanize.IBytes(uint64(len(state))), humanize.IBytes(uint64(l.maxState)))
	}
	l.states = append(l.states, state)
	l.bytes += int64(len(state))
	return nil
}

// arrayElements returns the elements of a JSON array as they are written.
func arrayElements(data []byte) ([][]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil { // the "["
		return nil, fmt.Errorf("invalid JSON: %w", err)
	}
	var elements [][]byte
	for decoder.More() {
		var element json.RawMessage
		if err := decoder.Decode(&element); err != nil {
			return nil, fmt.Errorf("element %d of the JSON array: %w", len(elements), notEOF(err))
		}
		elements = append(elements, element)
	}
	if _, err := decoder.Token(); err != nil { // the "]"
		return nil, fmt.Errorf("the JSON array does not end: %w", notEOF(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one JSON value: something follows the array at byte %d", decoder.InputOffset())
	}
	return elements, nil
}

// notEOF returns an error that says what io.EOF means inside a value.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
