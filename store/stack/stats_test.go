package stack_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestStatsOfEveryLayer(t *testing.T) {
	t.Setenv("SNAPSTACK_TEST_KEYS", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	path := strconv.Quote(filepath.Join(t.TempDir(), "a.db"))
	s, err := stack.Open(t.Context(), "log | fallback | cache | singleflight | limit | zstd | encrypt(keys=env:SNAPSTACK_TEST_KEYS,context=test) | "+
		`route(""=`+strconv.Quote("sqlite(path="+path+")")+`,order-="zstd | memory",mem-="objectstore(url=mem://)")`)
	if err != nil {
		t.Fatal(err)
	}
	for nr := range uint64(3) {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "user-1", SequenceNr: nr}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.LoadLatest(t.Context(), "user-1"); err != nil {
			t.Fatal(err)
		}
	}
	counter := storetest.NewCounter(s)
	layers := stack.Stats(counter)
	names := func(layers []stack.LayerStats) string {
		var all []string
		for _, l := range layers {
			all = append(all, l.Layer)
		}
		return strings.Join(all, " ")
	}
	if got, want := names(layers), "*storetest.Counter log fallback cache singleflight limit zstd encrypt route"; got != want {
		t.Fatalf("layers are %s; want %s", got, want)
	}
	routes := layers[8].Routes
	if len(routes) != 3 || names(routes[0]) != "zstd memory" || names(routes[1]) != "objectstore" || names(routes[2]) != "sqlite" {
		t.Fatalf("routes are %+v", routes)
	}
	if got := layers[3].Stats.(cache.Stats); got.Misses != 3 || got.Entries != 1 {
		t.Errorf("the cache's are %+v", got)
	}
	if got := layers[2].Stats.(store.FallbackStats); got.PassedOver != 0 {
		t.Errorf("the fallback's are %+v", got)
	}
	if got := layers[5].Stats.(store.LimitStats); got.Loads != 3 {
		t.Errorf("the limit's are %+v", got)
	}
	if got := layers[6].Stats.(compress.Stats); got.Saves != 3 {
		t.Errorf("those of zstd are %+v", got)
	}
	if got := routes[2][0].Stats.(sqlite.Stats); got.Saves != 3 {
		t.Errorf("sqlite's are %+v", got)
	}
	text, err := json.Marshal(layers)
	if err != nil || !strings.Contains(string(text), `"layer":"limit","stats":{"Loads":3,`) {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	var back []map[string]any
	if err := json.Unmarshal(text, &back); err != nil || len(back) != len(layers) || !reflect.DeepEqual(back[1], map[string]any{"layer": "log"}) {
		t.Errorf("read back: %v, %v", back, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
