package sqlite_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/snapstack/snapstack/sqlite"
)

// An error has no exported fields, so encoding/json alone would write {}.
func TestStatsEncodeAsJSON(t *testing.T) {
	stats := sqlite.Stats{Saves: 1, Deletes: 2, Commits: 3, MaxBatch: 4, PruneErrors: 5, Checkpoints: 6, CheckpointErrors: 7, WALBytes: 8}
	for want, err := range map[string]error{"": nil, "disk full": errors.New("disk full")} {
		stats.CheckpointError = err
		text, err := json.Marshal(stats)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got["CheckpointError"] != want {
			t.Errorf("CheckpointError is %v in %s; want %q", got["CheckpointError"], text, want)
		}
		value := reflect.ValueOf(stats)
		if len(got) != value.NumField() {
			t.Errorf("%s has %d fields; Stats has %d", text, len(got), value.NumField())
		}
		for field, v := range value.Fields() {
			if field.Name != "CheckpointError" && got[field.Name] != v.Convert(reflect.TypeFor[float64]()).Float() {
				t.Errorf("%s is %v in %s; want %v", field.Name, got[field.Name], text, v)
			}
		}
	}
}
