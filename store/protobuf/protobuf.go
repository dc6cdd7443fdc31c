// Package protobuf has the codec of typed snapshots whose values are protobuf
// messages. It is a package of its own so that programs without them do not depend on
// google.golang.org/protobuf, which encodes and decodes.
package protobuf

import (
	"google.golang.org/protobuf/proto"

	"github.com/snapstack/snapstack/store"
)

// Codec returns the Codec of the message type T, a pointer to a generated struct:
// protobuf.Codec[*pb.Account](). Fields that this program does not know are kept.
func Codec[T proto.Message]() store.Codec[T] { return codec[T]{} }

type codec[T proto.Message] struct{}

func (codec[T]) Encode(value T) ([]byte, error) { return proto.Marshal(value) }

func (codec[T]) Decode(state []byte) (T, error) {
	var none T // generated messages tell their type also as nil pointers
	value := none.ProtoReflect().New().Interface().(T)
	if err := proto.Unmarshal(state, value); err != nil {
		return none, err
	}
	return value, nil
}
