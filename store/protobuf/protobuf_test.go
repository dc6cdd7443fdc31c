package protobuf_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/protobuf"
)

func TestCodec(t *testing.T) {
	s, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	accounts := store.NewTyped(s, protobuf.Codec[*structpb.Struct]())
	want, err := structpb.NewStruct(map[string]any{"owner": "Ada", "balance": 42})
	if err != nil {
		t.Fatal(err)
	}
	if err := accounts.Save(t.Context(), "account-1", 7, want); err != nil {
		t.Fatal(err)
	}
	got, nr, err := accounts.LoadLatest(t.Context(), "account-1")
	if err != nil || nr != 7 || !proto.Equal(got, want) {
		t.Errorf("LoadLatest = %v, %d, %v; want %v, 7", got, nr, err, want)
	}

	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "account-1", SequenceNr: 8, State: []byte("no message")}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := accounts.LoadLatest(t.Context(), "account-1"); err == nil || got != nil {
		t.Errorf("LoadLatest of what is no message = %v, %v; want an error", got, err)
	}
}

// A decoded message must not refer to the state, which is only lent.
func TestDecodedMessagesKeepNothing(t *testing.T) {
	codec := protobuf.Codec[*structpb.Value]()
	state, err := codec.Encode(structpb.NewStringValue("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec.Decode(state)
	if err != nil {
		t.Fatal(err)
	}
	clear(state)
	if got.GetStringValue() != "Ada" {
		t.Error("the message changed with the state that it was decoded from")
	}
}
