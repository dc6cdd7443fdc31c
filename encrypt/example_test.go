package encrypt_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/snapstack/snapstack/encrypt"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// What the backend holds can neither be read nor altered without the key.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	// A number, a colon and 32 random bytes: as of `echo 1:$(openssl rand -base64 32)`.
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	backend, err := memory.New(memory.Options{}) // in production: sqlite or objectstore
	if err != nil {
		fmt.Println(err)
		return
	}
	snapshots, err := encrypt.New(backend, encrypt.Options{Keys: encrypt.File(keys), Context: "acme/prod/snapshots"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close() // and the backend

	if err := snapshots.Save(ctx, store.Snapshot{PersistenceID: "order-42", SequenceNr: 7, State: []byte("card 4711")}); err != nil {
		fmt.Println(err)
		return
	}
	sealed, err := backend.LoadLatest(ctx, "order-42")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("readable in the backend:", bytes.Contains(sealed.State, []byte("4711")))
	opened, err := snapshots.LoadLatest(ctx, "order-42")
	fmt.Printf("%s %v\n", opened.State, err)

	sealed.SequenceNr++ // copied to another number
	if err := backend.Save(ctx, sealed); err != nil {
		fmt.Println(err)
		return
	}
	_, err = snapshots.LoadLatest(ctx, "order-42")
	fmt.Println(err != nil)
	// Output:
	// readable in the backend: false
	// card 4711 <nil>
	// true
}
