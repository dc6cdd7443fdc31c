package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/snapstack/snapstack/store"
)

// Write writes r to w as one JSON object, indented.
func Write(w io.Writer, r Run) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// Read reads a Run that Write wrote, of this or an earlier version. Anything else is an
// error that matches store.ErrInvalid.
func Read(from io.Reader) (Run, error) {
	var r Run
	decoder := json.NewDecoder(from)
	if err := decoder.Decode(&r); err != nil {
		return Run{}, fmt.Errorf("run: %w: no saved run: %v", store.ErrInvalid, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Run{}, fmt.Errorf("run: %w: no saved run: something follows it", store.ErrInvalid)
	}
	if r.Format < 1 || r.Format > Format {
		return Run{}, fmt.Errorf("run: %w: a run in format %d; known here is %d", store.ErrInvalid, r.Format, Format)
	}
	return r, nil
}
