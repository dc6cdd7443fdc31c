package compress_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/compress"
)

var writeGolden = flag.Bool("write-golden", false, "write the blobs in testdata/golden that are not there yet")

// goldens are blobs that every later version must read. They are never written
// again: what changes the format adds files of its own.
var goldens = []struct {
	name   string
	opts   compress.Options // that wrote it, beside the golden dictionary
	state  []byte
	sha256 string // of the state, in case what makes it changes
	header string // in hexadecimal
}{
	{
		name:   "v1-empty",
		state:  []byte{},
		sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		header: "5a2a4d180700000053c55aa7010000",
	},
	{
		name:   "v1-small-raw",
		state:  []byte(`{"id":"order-1","status":"open"}`),
		sha256: "fc5ff6b7948e73a91a147bfec3e900478b1186a9d714635e36319a1456c7de53",
		header: "5a2a4d180800000053c55aa701002029",
	},
	{
		name:   "v1-small-compressed",
		state:  jsonState(1000),
		sha256: "ca2dab10b0c28e4aa441a5ee71013998b3387c3e33d66c8c3eaa610235437c5b",
		header: "5a2a4d180a00000053c55aa70100e807ab02",
	},
	{
		name:   "v1-single-byte-run",
		opts:   compress.Options{MinBytes: -1},
		state:  bytes.Repeat([]byte("a"), 300),
		sha256: "9835fa6bf4e20a9b9ea812506302e98982721a6cf8d2cae67af57129bf21ae90",
		header: "5a2a4d180900000053c55aa70100ac020f",
	},
	{
		name:   "v1-three-frames",
		state:  bytes.Repeat(jsonState(700), 3500),
		sha256: "0b843d5f5bf35ccc7787a6d772ef9b5b525404f9785487adbf6f9a7c3255dc0d",
		header: "5a2a4d181000000053c55aa70100d0c49501c403c403bf03",
	},
	{
		name:   "v1-best-two-frames",
		opts:   compress.Options{Level: compress.Best},
		state:  bytes.Repeat(jsonState(650), 2000),
		sha256: "9d867960b6f069989a04ba1dec233a7ec78a5399030031b443b1ef356f21967b",
		header: "5a2a4d180d00000053c55aa70100a0ac4fab02ab02",
	},
	{
		name:   "v1-raw-blocks",
		opts:   compress.Options{MinBytes: 1 << 30},
		state:  randomState(140_000),
		sha256: "13e0a56e01b16a282e301d6ee15fff026844b40d0af5f7d9bde072957121da32",
		header: "5a2a4d180c00000053c55aa70100e0c508efc508",
	},
	{
		name:   "v1-incompressible",
		state:  randomState(70_000),
		sha256: "a3c7c83217e9a979af43b4239c00835246351f35a989804f6f4234b369e4e99d",
		header: "5a2a4d180c00000053c55aa70100f0a20483a304",
	},
	{
		name:   "v1-dictionary",
		state:  accountStates(4, 1)[0],
		sha256: "85a357da1529c3ba514397810da1a812d7026f8ede4a4a545d61d0e1723066f2",
		header: "5a2a4d180a00000053c55aa70101af038501",
	},
	{
		name:   "v1-dictionary-best",
		opts:   compress.Options{Level: compress.Best},
		state:  accountStates(5, 1)[0],
		sha256: "2bb2c224c7f7e47b1a2c5c68f329fc1062fad9821d9437647684589b86ed36b0",
		header: "5a2a4d180900000053c55aa70101fe0155",
	},
}

// goldenDictionary returns the dictionary of the goldens that need one.
func goldenDictionary(t testing.TB) []byte {
	t.Helper()
	dictionary, err := os.ReadFile(filepath.Join("testdata", "golden", "accounts.dict"))
	if err != nil {
		t.Fatal(err)
	}
	return dictionary
}

func TestGolden(t *testing.T) {
	for _, golden := range goldens {
		t.Run(golden.name, func(t *testing.T) {
			path := filepath.Join("testdata", "golden", golden.name+".zst")
			if sum := sha256.Sum256(golden.state); hex.EncodeToString(sum[:]) != golden.sha256 {
				t.Fatalf("the state is not the one stored: its SHA-256 is %x", sum)
			}
			inner := mustMemory(t, 0)
			if strings.HasPrefix(golden.name, "v1-dictionary") {
				golden.opts.Dictionaries = [][]byte{goldenDictionary(t)}
			}
			s := mustNew(t, inner, golden.opts)
			defer mustClose(t, s)
			if _, err := os.Stat(path); *writeGolden && os.IsNotExist(err) {
				mustSave(t, s, 1, golden.state)
				if err := os.WriteFile(path, storedState(t, inner), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			blob, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if header := hex.EncodeToString(piecesOf(blob)[0]); header != golden.header {
				t.Errorf("header %s; want %s", header, golden.header)
			}
			mustSave(t, inner, 2, blob)
			wantState(t, s, golden.state)
		})
	}
}

// What does not depend on the encoder is pinned as it is written, too.
func TestRawBlobsAreWrittenAsEver(t *testing.T) {
	for _, golden := range goldens {
		if golden.name != "v1-empty" && golden.name != "v1-small-raw" && golden.name != "v1-raw-blocks" {
			continue
		}
		want, err := os.ReadFile(filepath.Join("testdata", "golden", golden.name+".zst"))
		if err != nil {
			t.Fatal(err)
		}
		inner := mustMemory(t, 0)
		s := mustNew(t, inner, golden.opts)
		mustSave(t, s, 1, golden.state)
		if got := storedState(t, inner); !bytes.Equal(got, want) {
			t.Errorf("%s: stored %.40x; want %.40x", golden.name, got, want)
		}
		mustClose(t, s)
	}
}

// The stored bytes outlive this package: the zstd command reads them.
func TestTheZstdCommandReadsBlobs(t *testing.T) {
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("no zstd command here")
	}
	check := func(name string, blob, state []byte, more ...string) {
		t.Helper()
		for _, flags := range [][]string{{"-dc"}, {"-t"}} {
			command := exec.CommandContext(t.Context(), zstd, append(flags, more...)...)
			command.Stdin = bytes.NewReader(blob)
			var out, problems bytes.Buffer
			command.Stdout, command.Stderr = &out, &problems
			if err := command.Run(); err != nil {
				t.Errorf("%s: zstd %s: %v: %s", name, flags[0], err, &problems)
			} else if flags[0] == "-dc" && !bytes.Equal(out.Bytes(), state) {
				t.Errorf("%s: zstd -dc gave %d bytes; want the state of %d", name, out.Len(), len(state))
			}
		}
	}
	for _, golden := range goldens {
		blob, err := os.ReadFile(filepath.Join("testdata", "golden", golden.name+".zst"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(golden.name, "v1-dictionary") {
			check(golden.name, blob, golden.state, "-D", filepath.Join("testdata", "golden", "accounts.dict"))
		} else {
			check(golden.name, blob, golden.state)
		}
	}
	states := smallStates()
	for name, state := range largeStates() {
		states["large "+name] = state
	}
	for _, opts := range []compress.Options{{}, {MinBytes: -1, Level: compress.Default}, {MinBytes: 1 << 30}, {Level: compress.Better}} {
		inner := mustMemory(t, 0)
		s := mustNew(t, inner, opts)
		for name, state := range states {
			mustSave(t, s, 1, state)
			check(name, storedState(t, inner), state)
		}
		for _, size := range []int{255, 256, 257, 1023, 1025, 65791, 65792, 128<<10 - 1, 128 << 10, 128<<10 + 1, 1 << 20, 1<<20 + 1} {
			mustSave(t, s, 1, jsonState(size))
			check("JSON", storedState(t, inner), jsonState(size))
		}
		mustClose(t, s)
	}
}
