package compress_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestConformanceWithDictionaries(t *testing.T) {
	dictionary := mustTrain(t, accountStates(1, 200), 16<<10)
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return mustNew(t, mustMemory(t, c.Keep), compress.Options{Dictionaries: [][]byte{dictionary}, MinBytes: -1})
	})
}

// What is held back was not among the samples.
func TestADictionaryHalvesHeldBackStates(t *testing.T) {
	if raceEnabled {
		t.Skip("the sizes are the same under -race, which takes a minute for them")
	}
	for name, states := range map[string][][]byte{
		"accounts": accountStates(1, 1500),
		"webhooks": webhookStates(t),
	} {
		if states == nil {
			t.Logf("no %s here", name)
			continue
		}
		samples, heldBack := states[:len(states)*2/3], states[len(states)*2/3:]
		for _, level := range []compress.Level{compress.Fastest, compress.Better} {
			without := storedBytes(t, compress.Options{Level: level}, heldBack)
			for size, least := range map[int]float64{16 << 10: 1.95, 64 << 10: 2} {
				with := storedBytes(t, compress.Options{Level: level, Dictionaries: [][]byte{mustTrain(t, samples, size)}}, heldBack)
				t.Logf("%d %s at level %s, dictionary of %d KiB: %d bytes, %d without, %.2f times", len(heldBack), name, level, size>>10, with, without, float64(without)/float64(with))
				if float64(with)*least > float64(without) {
					t.Errorf("%s at level %s with %d KiB: %d bytes; want %v times fewer than %d", name, level, size>>10, with, least, without)
				}
			}
		}
	}
}

func TestTrainedDictionaries(t *testing.T) {
	samples := accountStates(2, 300)
	for _, size := range []int{1 << 10, 5000, 16 << 10, 1 << 20} {
		dictionary := mustTrain(t, samples, size)
		if len(dictionary) > size || size <= 16<<10 && len(dictionary) < size-100 {
			t.Errorf("a dictionary of %d bytes; want %d or a little less", len(dictionary), size)
		}
		if !bytes.Equal(dictionary, mustTrain(t, samples, size)) {
			t.Errorf("another dictionary of the same samples")
		}
		id, err := compress.DictionaryID(dictionary)
		if err != nil || id < 1<<15 || id > math.MaxInt32 {
			t.Errorf("DictionaryID = %d, %v; want one that is not reserved", id, err)
		}
	}
}

// Whatever the samples are, Train gives a dictionary that works, or says that there
// is nothing to be had.
func TestTrainOnAnySamples(t *testing.T) {
	repeated := func(n int, sample []byte) [][]byte {
		samples := make([][]byte, n)
		for i := range samples {
			samples[i] = sample
		}
		return samples
	}
	random := make([][]byte, 100)
	numbered := make([][]byte, 100)
	for i := range random {
		random[i] = randomState(1 << 20)[i*1000:][:1000]
		numbered[i] = fmt.Appendf(nil, `{"n":%d}`, i)
	}
	large := make([][]byte, 5)
	for i := range large {
		large[i] = append(fmt.Appendf(nil, "%04d", i), jsonState(1<<20)...)
	}
	sizes := []int{1 << 10, 16 << 10}
	if raceEnabled {
		sizes = sizes[:1] // it is slow, and all in one goroutine
	}
	for name, test := range map[string]struct {
		samples [][]byte
		trains  bool
	}{
		"none":                  {nil, false},
		"empty ones":            {make([][]byte, 100), false},
		"too short":             {repeated(100, []byte("1234567")), false},
		"one":                   {repeated(1, jsonState(1000)), false},
		"two that are the same": {repeated(2, jsonState(1000)), false},
		"random":                {random, false},
		"numbered":              {numbered, false},
		"one byte over":         {repeated(50, make([]byte, 500)), false},
		"all the same":          {repeated(50, jsonState(500)), false},
		"large":                 {large, true},
		"mixed":                 {append(append(random[:10:10], accountStates(3, 50)...), nil, []byte("x")), true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range sizes {
				dictionary, err := compress.Train(test.samples, size)
				if !test.trains {
					if dictionary != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "allowed are") {
						t.Errorf("Train gave %d bytes, %v; want ErrInvalid and what is allowed", len(dictionary), err)
					}
					continue
				}
				if err != nil || len(dictionary) > size {
					t.Errorf("Train gave %d bytes, %v; want up to %d", len(dictionary), err, size)
					continue
				}
				s := mustNew(t, mustMemory(t, 0), compress.Options{Dictionaries: [][]byte{dictionary}, MinBytes: -1})
				for _, sample := range append(test.samples[:min(len(test.samples), 5)], randomState(3000), jsonState(3000)) {
					mustSave(t, s, 1, sample)
					wantState(t, s, sample)
				}
				mustClose(t, s)
			}
		})
	}
}

func TestTrainRefusesSizes(t *testing.T) {
	samples := accountStates(1, 100)
	for _, size := range []int{math.MinInt, -1, 0, 1023, 1<<20 + 1, math.MaxInt} {
		dictionary, err := compress.Train(samples, size)
		if dictionary != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), fmt.Sprint(size)) || !strings.Contains(err.Error(), "1024 to 1048576") {
			t.Errorf("Train of size %d: %v; want ErrInvalid with the size and what is allowed", size, err)
		}
	}
}

func TestNewRefusesBadDictionaries(t *testing.T) {
	good := mustTrain(t, accountStates(1, 100), 2<<10)
	for name, test := range map[string]struct {
		dictionaries [][]byte
		want, which  string
	}{
		"empty":             {[][]byte{{}}, "compress: invalid dictionary: empty", "(number 1 of Dictionaries)"},
		"nil":               {[][]byte{good, nil}, "compress: invalid dictionary: empty", "(number 2 of Dictionaries)"},
		"text":              {[][]byte{good, []byte("just some content of a dictionary")}, "compress: invalid dictionary of 33 bytes", "(number 2 of Dictionaries)"},
		"cut short":         {[][]byte{good[:50]}, "compress: invalid dictionary of 50 bytes", "(number 1 of Dictionaries)"},
		"twice":             {[][]byte{good, good}, "two of id", ""},
		"no id":             {[][]byte{append(append(bytes.Clone(good[:4]), 0, 0, 0, 0), good[8:]...)}, "compress: invalid dictionary", "(number 1 of Dictionaries)"},
		"another's content": {[][]byte{good, append(bytes.Clone(good), "more"...)}, "two of id", ""},
	} {
		s, err := compress.New(mustMemory(t, 0), compress.Options{Dictionaries: test.dictionaries})
		if s != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), test.want) || !strings.HasSuffix(err.Error(), test.which) || !strings.Contains(err.Error(), "allowed") {
			t.Errorf("%s: New: %v; want ErrInvalid that says %q and what is allowed", name, err, test.want)
		}
	}
	if id, err := compress.DictionaryID([]byte("no dictionary")); id != 0 || !errors.Is(err, store.ErrInvalid) {
		t.Errorf("DictionaryID of anything: %d, %v; want ErrInvalid", id, err)
	}
}

// The first one compresses, and each frame finds its own.
func TestSeveralDictionaries(t *testing.T) {
	accounts, orders := accountStates(1, 100), orderStates(100)
	old, recent := mustTrain(t, accounts, 4<<10), mustTrain(t, orders, 4<<10)
	inner := mustMemory(t, 0)
	plain := mustNew(t, noClose{inner}, compress.Options{})
	before := mustNew(t, noClose{inner}, compress.Options{Dictionaries: [][]byte{old}})
	after := mustNew(t, noClose{inner}, compress.Options{Dictionaries: [][]byte{recent, old}})
	for _, s := range []*compress.Store{plain, before, after} {
		defer mustClose(t, s)
	}
	state := accounts[0]
	mustSave(t, plain, 1, state)
	wantState(t, after, state)
	mustSave(t, before, 1, state)
	smaller := len(storedState(t, inner))
	wantState(t, after, state)
	wantState(t, before, state)
	mustSave(t, after, 1, state)
	if got := len(storedState(t, inner)); got <= smaller {
		t.Errorf("%d bytes with a dictionary for other states, %d with its own: not the first one compresses", got, smaller)
	}
	wantState(t, after, state)
	wantMissing(t, before, recent)
	wantMissing(t, plain, recent)
}

// wantMissing checks that loads say which dictionary they lack, in an error that
// nobody takes for damage or absence.
func wantMissing(t *testing.T, s *compress.Store, dictionary []byte) {
	t.Helper()
	id, err := compress.DictionaryID(dictionary)
	if err != nil {
		t.Fatal(err)
	}
	fallback, err := store.NewFallback(s, store.FallbackOptions{OnCorrupt: func(_ string, _ uint64, err error) {
		t.Errorf("a Fallback passed over a snapshot whose dictionary is missing: %v", err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []store.SnapshotStore{s, fallback} {
		for name, load := range loads(s) {
			err := load(t.Context())
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), fmt.Sprintf("dictionary of id %d", id)) {
				t.Errorf("%s: %v; want ErrUnsupported that names dictionary %d", name, err, id)
			}
			for _, not := range []error{store.ErrCorrupt, store.ErrNotFound, store.ErrInvalid, store.ErrTooLarge} {
				if errors.Is(err, not) {
					t.Errorf("%s: %v matches %v", name, err, not)
				}
			}
		}
	}
}

// A dictionary is for small states; large ones are stored as ever, and so is what
// comes out no smaller.
func TestStatesThatNeedNoDictionary(t *testing.T) {
	dictionary := mustTrain(t, accountStates(1, 100), 4<<10)
	inner := mustMemory(t, 0)
	s := mustNew(t, noClose{inner}, compress.Options{Dictionaries: [][]byte{dictionary}})
	defer mustClose(t, s)
	plain := mustNew(t, inner, compress.Options{})
	defer mustClose(t, plain)
	for name, test := range map[string]struct {
		state []byte
		uses  bool
	}{
		"empty":          {nil, false},
		"63 bytes":       {jsonState(63), false},
		"an account":     {accountStates(9, 1)[0], true},
		"128 KiB":        {jsonState(128 << 10), true},
		"over 128 KiB":   {jsonState(128<<10 + 1), false},
		"several frames": {jsonState(3 << 20), false},
		"incompressible": {randomState(1000), false},
	} {
		mustSave(t, s, 1, test.state)
		blob := storedState(t, inner)
		if uses := blob[13] == 1; uses != test.uses || blob[13] > 1 {
			t.Errorf("%s: flags %d; want a dictionary: %v", name, blob[13], test.uses)
		}
		wantState(t, s, test.state)
		if !test.uses {
			wantState(t, plain, test.state)
		}
	}
}

// New keeps no reference to what it was given.
func TestDictionariesAreTheCallers(t *testing.T) {
	dictionary := mustTrain(t, accountStates(1, 100), 4<<10)
	given := bytes.Clone(dictionary)
	s := mustNew(t, mustMemory(t, 0), compress.Options{Dictionaries: [][]byte{given}, Level: compress.Best})
	defer mustClose(t, s)
	clear(given)
	inner := mustMemory(t, 0)
	other := mustNew(t, inner, compress.Options{Dictionaries: [][]byte{dictionary}})
	defer mustClose(t, other)
	state := accountStates(9, 1)[0]
	mustSave(t, s, 1, state)
	mustSave(t, inner, 1, storedState(t, s.Unwrap()))
	wantState(t, other, state)
	wantState(t, s, state)
}

// A dictionary of the same id but of other content is met by zstd's own checksum.
func TestAWrongDictionaryIsSeen(t *testing.T) {
	dictionary := mustTrain(t, accountStates(1, 100), 4<<10)
	wrong := bytes.Clone(dictionary)
	for i := len(wrong) / 2; i < len(wrong); i++ {
		wrong[i] ^= 1
	}
	inner := mustMemory(t, 0)
	s := mustNew(t, noClose{inner}, compress.Options{Dictionaries: [][]byte{dictionary}})
	defer mustClose(t, s)
	over := mustNew(t, inner, compress.Options{Dictionaries: [][]byte{wrong}})
	defer mustClose(t, over)
	mustSave(t, s, 1, accountStates(9, 1)[0])
	wantLoadError(t, over, 1, store.ErrCorrupt)
}

func TestDamagedBlobsWithDictionariesAreCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{Dictionaries: [][]byte{mustTrain(t, accountStates(1, 100), 4<<10)}})
	blob := d.blob(t, accountStates(9, 1)[0])
	if blob[13] != 1 {
		t.Fatal("no dictionary used")
	}
	for at := range blob {
		for bit := range 8 {
			blob[at] ^= 1 << bit
			d.wantCorrupt(t, fmt.Sprintf("bit %d of byte %d flipped", bit, at), blob)
			blob[at] ^= 1 << bit
		}
		d.wantCorrupt(t, fmt.Sprintf("byte %d missing", at), append(bytes.Clone(blob[:at]), blob[at+1:]...))
	}
	// Flags that do not go with the frames, under the right checksum.
	pieces := piecesOf(blob)
	header := bytes.Clone(pieces[0])
	header[13] = 0
	d.wantCorrupt(t, "a dictionary without the flag", seal(header, pieces[1]))
}

// The dictionary is zstd's, and so is what is stored.
func TestTheZstdCommandReadsBlobsWithItsDictionary(t *testing.T) {
	command, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("no zstd command here")
	}
	dir := t.TempDir()
	samples := accountStates(1, 300)
	own := filepath.Join(dir, "own")
	if err := os.WriteFile(own, mustTrain(t, samples, 8<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	// And what the command trains serves here.
	theirs := filepath.Join(dir, "theirs")
	args := []string{"-q", "--train", "--maxdict=8192", "-o", theirs}
	for i, sample := range samples {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, sample, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.CommandContext(t.Context(), command, args...).CombinedOutput(); err != nil {
		t.Fatalf("zstd --train: %v: %s", err, out)
	}
	for _, path := range []string{own, theirs} {
		dictionary, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, level := range []compress.Level{compress.Fastest, compress.Default, compress.Better, compress.Best} {
			inner := mustMemory(t, 0)
			s := mustNew(t, inner, compress.Options{Dictionaries: [][]byte{dictionary}, Level: level})
			for _, state := range append(accountStates(9, 5), jsonState(100_000)) {
				mustSave(t, s, 1, state)
				wantState(t, s, state)
				blob := storedState(t, inner)
				if blob[13] != 1 {
					t.Errorf("a state of %d bytes was stored without the dictionary", len(state))
				}
				zstd := exec.CommandContext(t.Context(), command, "-D", path, "-dc")
				zstd.Stdin = bytes.NewReader(blob)
				var out, problems bytes.Buffer
				zstd.Stdout, zstd.Stderr = &out, &problems
				if err := zstd.Run(); err != nil || !bytes.Equal(out.Bytes(), state) {
					t.Errorf("zstd -D %s -dc gave %d bytes, %v: %s; want the state of %d", filepath.Base(path), out.Len(), err, &problems, len(state))
				}
			}
			mustClose(t, s)
		}
	}
}

func mustTrain(t testing.TB, samples [][]byte, size int) []byte {
	t.Helper()
	dictionary, err := compress.Train(samples, size)
	if err != nil {
		t.Fatal(err)
	}
	return dictionary
}

// storedBytes returns how many bytes the states take, stored one by one.
func storedBytes(t testing.TB, opts compress.Options, states [][]byte) int {
	t.Helper()
	inner := mustMemory(t, 0)
	s := mustNew(t, inner, opts)
	defer mustClose(t, s)
	total := 0
	for _, state := range states {
		mustSave(t, s, 1, state)
		total += len(storedState(t, inner))
	}
	return total
}

// webhookStates returns what GitHub sent somebody, 1 to 27 KB each, mixed up, or nil
// where the corpus is not at hand.
func webhookStates(t testing.TB) [][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "corpus", "github-webhooks.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var webhooks []json.RawMessage
	if err := json.Unmarshal(data, &webhooks); err != nil {
		t.Fatal(err)
	}
	states := make([][]byte, len(webhooks))
	for i, to := range rand.New(rand.NewPCG(1, 2)).Perm(len(webhooks)) {
		states[to] = webhooks[i]
	}
	return states
}

// accountStates returns n states of accounts in JSON, of 256 bytes to 2 KB, as many
// between 256 and 512 bytes as between 1 and 2 KB.
func accountStates(seed uint64, n int) [][]byte {
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	first := func() string {
		return pick("Ada", "Bob", "Carla", "Dieter", "Eve", "Farid", "Greta", "Hans", "Ines", "Jonas")
	}
	last := func() string {
		return pick("Meyer", "Schmidt", "Jones", "Garcia", "Okafor", "Tanaka", "Novak", "Rossi")
	}
	date := func() string {
		return fmt.Sprintf("20%02d-%02d-%02dT%02d:%02d:%02dZ", 15+r.IntN(11), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	states := make([][]byte, n)
	for i := range states {
		size := int(256 * math.Pow(8, r.Float64()))
		b := fmt.Appendf(nil, `{"id":"account-%08x","owner":{"id":"customer-%06d","name":"%s %s","address":{"street":"%d %s Street","city":%q,"country":%q},"verified":%t},"currency":%q,"opened_at":%q,"balance":%d.%02d,"transactions":[`,
			r.Uint32(), r.IntN(1_000_000), first(), last(), 1+r.IntN(200), last(), pick("Berlin", "Paris", "London", "Rome"), pick("DE", "FR", "GB", "IT"), r.IntN(2) == 0,
			pick("EUR", "USD", "GBP"), date(), r.IntN(100_000), r.IntN(100))
		for comma := ""; len(b) < size-180; comma = "," {
			b = fmt.Appendf(b, `%s{"id":"%08x","booked_at":%q,"amount":%d.%02d,"counterparty":{"name":"%s %s","bank":%q},"category":%q,"reference":"invoice %06d"}`,
				comma, r.Uint32(), date(), r.IntN(500), r.IntN(100), first(), last(), pick("Commerzbank", "Lloyds", "BNP Paribas", "Unicredit"),
				pick("rent", "groceries", "salary", "travel"), r.IntN(1_000_000))
		}
		states[i] = append(b, "]}"...)
	}
	return states
}

// orderStates returns n states of about 300 bytes, unlike accounts.
func orderStates(n int) [][]byte {
	r := rand.New(rand.NewPCG(5, 6))
	states := make([][]byte, n)
	for i := range states {
		states[i] = fmt.Appendf(nil, "<order><number>%d</number><customer>%06d</customer><lines><line sku='A-%d' quantity='%d'/></lines><status>open</status></order>",
			r.IntN(1e6), r.IntN(1e6), r.IntN(5000), r.IntN(20))
	}
	return states
}
