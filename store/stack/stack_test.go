package stack

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Spec{
		"memory":                                 {{Name: "memory"}},
		" memory ( ) ":                           {{Name: "memory"}},
		"memory(keep=3)":                         {{"memory", []Option{{"keep", "3"}}}},
		" fallback |\n\tmemory( keep = 3 )":      {{Name: "fallback"}, {"memory", []Option{{"keep", "3"}}}},
		`fallback(attempts="5")|fallback|memory`: {{"fallback", []Option{{"attempts", "5"}}}, {Name: "fallback"}, {Name: "memory"}},
		`sqlite(path=snap shots.db,keep=2)`:      {{"sqlite", []Option{{"path", "snap shots.db"}, {"keep", "2"}}}},
		`sqlite(path=" a,b|(c)\t\".db ")`:        {{"sqlite", []Option{{"path", " a,b|(c)\t\".db "}}}},
		"objectstore(url=s3://bucket?endpoint=http://127.0.0.1:7070&region=r&path_style=true,prefix=snapshots/)": {
			{"objectstore", []Option{{"url", "s3://bucket?endpoint=http://127.0.0.1:7070&region=r&path_style=true"}, {"prefix", "snapshots/"}}},
		},
	} {
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %#v, %v; want %#v", text, got, err, want)
		}
	}
}

// TestSQLiteOptionsArrive opens a file with every option and looks at what came of
// them.
func TestSQLiteOptionsArrive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	s, err := Open(t.Context(), `sqlite(path="`+path+`",table=entities,page_size=16KiB,checkpoint=64KiB,max=100KiB,keep=2,busy_timeout=1s,sync=normal,journal=wal)`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "a", State: make([]byte, 100<<10+1)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Save above max: %v; want ErrTooLarge", err)
	}
	backend, _ := store.As[*sqlite.Store](s)
	for nr := uint64(0); backend.Stats().Checkpoints == 0; nr++ { // which 4 MiB would not be in a while
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "a", SequenceNr: nr, State: make([]byte, 100<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var pageSize, rows int
	if err := db.QueryRow("SELECT (SELECT page_size FROM pragma_page_size), (SELECT count(*) FROM entities)").Scan(&pageSize, &rows); err != nil || pageSize != 16384 || rows > 2 {
		t.Errorf("the file has pages of %d and %d rows, %v; want 16384, and 2 rows at most", pageSize, rows, err)
	}
}

func TestObjectstoreTakesItsSwitches(t *testing.T) {
	s, err := Open(t.Context(), "objectstore(url=mem://,keep=1,prune_async=true,create_only=true)")
	if err != nil {
		t.Fatal(err)
	}
	snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: 1}
	if err := s.Save(t.Context(), snap); err != nil {
		t.Error(err)
	}
	if err := s.Save(t.Context(), snap); !errors.Is(err, objectstore.ErrExists) {
		t.Errorf("the second Save of a number: %v; want ErrExists", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestParseErrors reads every error aloud: it must say where, what, and what is
// allowed.
func TestParseErrors(t *testing.T) {
	for text, says := range map[string]string{
		"":                                 `at byte 0: expected the name of a layer, found the end`,
		"|":                                `at byte 0: expected the name of a layer, found "|"`,
		"memory |":                         `at byte 8: expected the name of a layer, found the end`,
		"memory memory":                    `at byte 7: expected "|" and the next layer, or the end, found "m"`,
		"memory(":                          `expected the name of an option, found the end`,
		"memory(keep":                      `expected "=" and a value for "keep", found the end`,
		"memory(keep)":                     `expected "=" and a value for "keep", found ")"`,
		"memory(keep=)":                    `expected a value for "keep" (an empty one is written ""), found ")"`,
		"memory(keep=1":                    `expected "," and the next option, or ")", found the end`,
		"memory(keep=1,)":                  `expected the name of an option, found ")"`,
		`memory(keep="1)`:                  `expected a complete Go string in double quotes, found "\""`,
		`memory(keep="1"2)`:                `expected "," and the next option, or ")", found "2"`,
		"memory(keep=1(2))":                `expected "," and the next option, or ")", found "("`,
		"memory(keep=1,keep=2)":            `memory: option "keep" is given twice`,
		"memory(kept=1)":                   `memory: unknown option "kept"; allowed are keep`,
		"memory(keep=-1)":                  `memory: option keep=-1; allowed is a whole number of 0 or more`,
		"memory(keep=1.5)":                 `memory: option keep=1.5; allowed is a whole number of 0 or more`,
		`memory(keep="")`:                  `memory: option keep=""; allowed is a whole number of 0 or more`,
		"disk":                             `unknown layer "disk"; allowed are the wrappers cache, delta, encrypt, fallback, limit, log, singleflight, zstd and the backends memory, objectstore, route, sqlite`,
		"Memory":                           `unknown layer "Memory"`,
		"memory | memory":                  `the backend "memory" holds no other layer and must stand last, but "memory" follows`,
		"fallback":                         `the wrapper "fallback" stands last; a backend must: memory, objectstore, route, sqlite`,
		"singleflight(x=1) | memory":       `singleflight: unknown option "x"; it has no options`,
		"cache(size=big) | memory":         `cache: option size=big; allowed is a size, as 65536, 64KiB or 64MiB`,
		"cache(ttl=5) | memory":            `cache: option ttl=5; allowed is a duration, as 30s, 5m or 1h30m, or a negative one for entries that do not expire`,
		"cache(ttl=0s) | memory":           `cache: option ttl=0s; allowed is a duration`,
		"cache(policy=fifo) | memory":      `cache: option policy: cache: invalid Policy "fifo"; allowed are ["s3fifo" "lru"]`,
		"cache(size=0) | memory":           `cache: option size=0; allowed is a size`,
		"sqlite(path=a.db,busy_timeout=0)": `sqlite: option busy_timeout=0; allowed is a duration above 0`,
		"limit(loads=-1) | memory":         `limit: option loads=-1; allowed is a whole number of 0 or more`,
		"route":                            `route: no stack; at least one is needed, as ""="memory" for every id`,
		`route(a="memory") | memory`:       `the backend "route" holds no other layer and must stand last`,
		`route(a="memory",a="memory")`:     `route: option "a" is given twice`,
		`route("a-"=memory | memory)`:      `expected "," and the next option, or ")", found "|"`,
		`route("a-"="zstd | mem")`:         `route: option a-: open: stack: invalid: unknown layer "mem"`,
		`route("a-=memory)`:                `expected a complete Go string in double quotes`,
		"zstd(max=0) | memory":             `zstd: option max=0; allowed is a size`,
		"encrypt | memory":                 `encrypt: option "keys" is required: env:NAME or file:PATH`,
		"encrypt(keys=env:K) | memory":     `encrypt: option "context" is required`,
		"encrypt(keys=1:c2VjcmV0,context=c) | memory":          `encrypt: option keys: invalid; allowed are env:NAME and file:PATH`,
		"encrypt(keys=env:,context=c) | memory":                `encrypt: option keys: invalid; allowed are env:NAME and file:PATH`,
		"encrypt(keys=env:K,context=c,mode=hide) | memory":     `encrypt: option mode: encrypt: invalid Mode "hide"; allowed are seal and sign`,
		"encrypt(keys=env:K,context=c,migrate=maybe) | memory": `encrypt: option migrate=maybe; allowed is true or false`,
		"objectstore(url=mem://,urls=x)":                       `objectstore: unknown option "urls"; allowed are url, prefix, keep, prune_async, create_only`,
		"zstd(level=11) | memory":                              `zstd: option level: compress: invalid Level "11"; allowed are "fastest"`,
		"sqlite":                                               `sqlite: option "path" is required`,
		"sqlite(path=a.db,sync=sometimes)":                     `sqlite: option sync: sqlite: invalid Synchronous "SOMETIMES"; allowed are [OFF NORMAL FULL EXTRA]`,
		"sqlite(path=a.db,journal=paper)":                      `sqlite: option journal: sqlite: invalid JournalMode "PAPER"; allowed are [WAL DELETE TRUNCATE PERSIST]`,
		"objectstore":                                          `objectstore: option "url" is required`,
		"objectstore(url=ftp://x)":                             `objectstore: option url: invalid scheme of the url: "ftp"; allowed are mem://, file:///directory and s3://bucket`,
		"objectstore(url=mem://name)":                          `objectstore: option url: invalid url: allowed is mem:// and nothing behind it`,
		"objectstore(url=file://x)":                            `objectstore: option url: invalid url; allowed is file:// and an absolute path`,
		"objectstore(url=s3://)":                               `objectstore: option url: s3: invalid`,
		"objectstore(url=s3://b?key=v)":                        `objectstore: option url: s3: invalid`,
		"sqlite(path=a.db,page_size=1000)":                     `sqlite: option page_size=1000; allowed is a power of two from 512 to 64KiB`,
		"sqlite(path=a.db,page_size=0)":                        `sqlite: option page_size=0; allowed is a power of two`,
		"sqlite(path=a.db,page_size=128KiB)":                   `sqlite: option page_size=128KiB; allowed is a power of two`,
		"sqlite(path=a.db,checkpoint=1KiB)":                    `sqlite: option checkpoint=1KiB; allowed is a size from 64KiB to 1GiB`,
		"sqlite(path=a.db,checkpoint=off)":                     `sqlite: option checkpoint=off; allowed is a size from 64KiB to 1GiB`,
		"sqlite(path=a.db,max=1GiB)":                           `sqlite: option max=1GiB; allowed is a size from 1 to 999997952`,
		"sqlite(path=a.db,max=0)":                              `sqlite: option max=0; allowed is a size from 1 to 999997952`,
		"zstd(level=fastest,level=best) | memory":              `zstd: option "level" is given twice`,
		"delta(share=2) | memory":                              `delta: option share: invalid share 2; allowed is a share above 0 and up to 1`,
		"delta(share=x) | memory":                              `delta: option share: invalid share x; allowed is a share`,
		"delta(deltas=-1) | memory":                            `delta: option deltas=-1; allowed is a whole number`,
		`delta(writer="a b") | memory`:                         `delta: compress: invalid Writer "a b"; allowed are 1 to 64 letters`,
		"delta(max=0) | memory":                                `delta: option max=0; allowed is a size`,
		"delta | sqlite(path=a.db,keep=3)":                     `sqlite: option keep=3 beneath delta, whose bases it would remove; allowed is keep of delta`,
		"delta(keep=3) | delta(keep=3) | memory":               `delta: option keep=3 beneath delta`,
		`delta | route(""="memory",a="memory(keep=1)")`:        `route: option a: invalid: memory: option keep=1 beneath delta`,
		"zstd(dict=absent.dict) | memory":                      `zstd: option dict: invalid dictionary: open absent.dict: no such file or directory; allowed is the path of a file`,
		`zstd(dict="") | memory`:                               `zstd: option dict: invalid dictionary: open : no such file or directory`,
		"zstd(dict=.) | memory":                                `zstd: option dict: invalid dictionary: read .: is a directory; allowed is`,
		"zstd(dict=stack_test.go) | memory":                    `zstd: option dict: stack_test.go: compress: invalid dictionary of`,
		"objectstore(url=mem://,prune_async=yes)":              `objectstore: option prune_async=yes; allowed is true or false`,
		"objectstore(url=mem://,create_only=1)":                `objectstore: option create_only=1; allowed is true or false`,
	} {
		_, err := Parse(text)
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("Parse(%q) says\n\t%v\nand should say\n\t%s", text, err, says)
		}
	}
}

func TestErrorsDoNotRepeatPasswords(t *testing.T) {
	for _, text := range []string{
		"objectstore(url=s3://user:secret@bucket)",
		"objectstore(url=s3://bucket?secret_access_key=secret)",
		"objectstore(url=s3://bucket?endpoint=http://user:secret@host)",
		"objectstore(url=file://user:secret@host/directory)",
		"encrypt(keys=1:secret,context=c) | memory",
		"encrypt(keys=secret,context=c) | memory",
		"objectstore(url=user:secret@bucket)",
		"objectstore(url=mem://secret)",
		"objectstore(url=s3://user:secret@bucket",
	} {
		if _, err := Parse(text); err == nil || strings.Contains(err.Error(), "secret") && !strings.Contains(err.Error(), "secret_access_key") {
			t.Errorf("Parse(%q): %v; want an error without the password", text, err)
		}
	}
}

func TestDictionaries(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	var dictionaries [][]byte
	var state []byte
	for _, kind := range []string{"old", "new"} {
		var samples [][]byte
		for n := range 100 {
			samples = append(samples, fmt.Appendf(nil, `{"kind of this state":%q,"number in the sequence":%d,"its square":%d}`, kind, n, n*n))
		}
		state = samples[50]
		dictionary, err := compress.Train(samples, 4<<10)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, kind+", "+kind+".dict")
		if err := os.WriteFile(path, dictionary, 0o600); err != nil {
			t.Fatal(err)
		}
		dictionaries = append(dictionaries, dictionary)
		paths = append(paths, path)
	}
	bucket := "objectstore(url=" + strconv.Quote("file://"+filepath.ToSlash(dir)+"/bucket") + ")"
	save := func(text string) {
		t.Helper()
		s, err := Open(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 1, State: state}); err != nil {
			t.Error(err)
		}
	}
	load := func(text string) error {
		t.Helper()
		s, err := Open(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		snap, err := s.LoadLatest(t.Context(), "order-1")
		if err == nil && !bytes.Equal(snap.State, state) {
			t.Errorf("loaded %q; want %q", snap.State, state)
		}
		return err
	}
	save(fmt.Sprintf("zstd(dict=%q) | %s", paths[0], bucket))
	both := fmt.Sprintf("zstd(min=0,dict=%q,dict=%q) | %s", paths[1], paths[0], bucket)
	if err := load(both); err != nil {
		t.Error(err)
	}
	save(both)
	if err := load(both); err != nil {
		t.Error(err)
	}
	id, err := compress.DictionaryID(dictionaries[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := load(fmt.Sprintf("zstd(dict=%q) | %s", paths[0], bucket)); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), fmt.Sprint(id)) {
		t.Errorf("loaded without the dictionary that the first of two is: %v; want ErrUnsupported with its id, %d", err, id)
	}
}

// What is wrong with a dictionary or another option is found out before a backend
// creates its file.
func TestBadZstdOptionsOpenNothing(t *testing.T) {
	var samples [][]byte
	for n := range 100 {
		samples = append(samples, fmt.Appendf(nil, `{"number in the sequence":%d,"its square":%d}`, n, n*n))
	}
	dictionary, err := compress.Train(samples, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "states.dict")
	if err := os.WriteFile(path, dictionary, 0o600); err != nil {
		t.Fatal(err)
	}
	for options, says := range map[string]string{
		fmt.Sprintf("dict=%q", path+"x"):           "no such file",
		fmt.Sprintf("dict=%q,dict=%q", path, path): "two of id",
		"concurrency=1025":                         "Concurrency 1025",
	} {
		_, err := Open(t.Context(), fmt.Sprintf("zstd(%s) | sqlite(path=%q)", options, filepath.Join(dir, "a.db")))
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "allowed") {
			t.Errorf("Open with %s: %v; want ErrInvalid that says %q and what is allowed", options, err, says)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("Open created something: %v, %v", left, err)
	}
}

func TestStringIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := Spec{}
		for range rapid.IntRange(0, 3).Draw(t, "wrappers") {
			spec = append(spec, Layer{Name: "fallback"})
		}
		path := rapid.OneOf(rapid.StringN(1, 20, -1), rapid.SampledFrom([]string{" ", `"`, "a,b", "\xff", "a\nb", `a\b`})).Draw(t, "path")
		last := Layer{"sqlite", []Option{{"path", path}, {"keep", "3"}}}
		if prefix := rapid.StringN(0, 20, -1).Draw(t, "prefix"); rapid.Bool().Draw(t, "routed") {
			last = Layer{"route", []Option{{prefix, Spec{last}.String()}, {prefix + "-", "memory"}}}
		}
		spec = append(spec, last)
		got, err := Parse(spec.String())
		if err != nil || !reflect.DeepEqual(got, spec) {
			t.Errorf("%#v as text is %s, and read back %#v, %v", spec, spec, got, err)
		}
	})
}

func TestOpenCallsObserversBackendFirst(t *testing.T) {
	spec, err := Parse("fallback | memory(keep=1)")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	s, err := spec.Open(t.Context(), func(layer Layer, s store.SnapshotStore) store.SnapshotStore {
		seen = append(seen, layer.String())
		if layer.Name == "memory" {
			return &observed{inner: s}
		}
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"memory(keep=1)", "fallback"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("the observer saw %v; want %v", seen, want)
	}
	o, ok := store.As[*observed](s)
	if _, outermost := s.(*observed); !ok || outermost {
		t.Error("what the observer returned does not stand beneath the wrapper")
	}
	if err := s.Close(); err != nil || !o.closed {
		t.Errorf("Close reached the backend: %v, %v", o.closed, err)
	}
}

func TestOpenClosesWhatItOpenedWhenALayerFails(t *testing.T) {
	spec, err := Parse("fallback | memory")
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no room")
	layerKinds["failing"] = kind{read: func(*values) opener {
		return func(context.Context, store.SnapshotStore) (store.SnapshotStore, error) { return nil, failure }
	}}
	defer delete(layerKinds, "failing")
	spec[0].Name = "failing"
	var backend *observed
	_, err = spec.Open(t.Context(), func(_ Layer, s store.SnapshotStore) store.SnapshotStore {
		backend = &observed{inner: s}
		return backend
	})
	if !errors.Is(err, failure) || !backend.closed {
		t.Errorf("Open returned %v and closed the backend: %v; want the failure and true", err, backend.closed)
	}
}

func TestHandmadeSpecIsChecked(t *testing.T) {
	for _, spec := range []Spec{nil, {{Name: "nothing"}}, {{"memory", []Option{{"keep", "x"}}}}} {
		if _, err := spec.Open(t.Context()); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Open of %#v: %v; want ErrInvalid", spec, err)
		}
	}
}

// observed is a wrapper that knows whether it was closed.
type observed struct {
	inner  store.SnapshotStore
	closed bool
}

func (o *observed) Save(ctx context.Context, snap store.Snapshot) error {
	return o.inner.Save(ctx, snap)
}

func (o *observed) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	return o.inner.LoadLatest(ctx, id)
}

func (o *observed) LoadBefore(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
	return o.inner.LoadBefore(ctx, id, nr)
}

func (o *observed) Delete(ctx context.Context, id string, to uint64) error {
	return o.inner.Delete(ctx, id, to)
}

func (o *observed) Close() error {
	o.closed = true
	return o.inner.Close()
}

func (o *observed) Unwrap() store.SnapshotStore { return o.inner }

func TestSplitChecksNothingButTheForm(t *testing.T) {
	const text = `delta(every=8) | zstd(dict=nowhere/states.dict) | objectstore(url="file://TEMP/4, old")`
	spec, err := Split(text)
	if err != nil || spec.String() != text {
		t.Errorf("Split(%s) gave %s, %v", text, spec, err)
	}
	if _, err := Parse(text); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Parse gave %v, want ErrInvalid", err)
	}
	if spec, err := Split("cache | zstd("); !errors.Is(err, store.ErrInvalid) || spec != nil {
		t.Errorf("of half a text Split gave %v, %v", spec, err)
	}
}
