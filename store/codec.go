package store

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
)

// A Codec turns values of T into states and back. It must be safe for concurrent
// use. Package store/protobuf has one for protobuf messages.
type Codec[T any] interface {
	// Encode returns the state of value.
	Encode(value T) ([]byte, error)

	// Decode returns the value of state, which it must not write or keep.
	Decode(state []byte) (T, error)
}

// JSON returns the Codec of encoding/json.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Encode(value T) ([]byte, error) { return json.Marshal(value) }

func (jsonCodec[T]) Decode(state []byte) (T, error) {
	var value T
	err := json.Unmarshal(state, &value)
	return value, err
}

// Gob returns the Codec of encoding/gob. Each state describes its types anew, which
// takes some hundred bytes.
func Gob[T any]() Codec[T] { return gobCodec[T]{} }

type gobCodec[T any] struct{}

func (gobCodec[T]) Encode(value T) ([]byte, error) {
	var state bytes.Buffer
	err := gob.NewEncoder(&state).Encode(value)
	return state.Bytes(), err
}

func (gobCodec[T]) Decode(state []byte) (T, error) {
	var value T
	err := gob.NewDecoder(bytes.NewReader(state)).Decode(&value)
	return value, err
}

// Binary returns the Codec of a type that marshals itself. It is called with the type
// alone: Binary[account](). UnmarshalBinary must copy what it keeps, as its
// documentation says.
func Binary[T any, P interface {
	*T
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}]() Codec[T] {
	return binaryCodec[T, P]{}
}

type binaryCodec[T any, P interface {
	*T
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}] struct{}

func (binaryCodec[T, P]) Encode(value T) ([]byte, error) { return P(&value).MarshalBinary() }

func (binaryCodec[T, P]) Decode(state []byte) (T, error) {
	var value T
	err := P(&value).UnmarshalBinary(state)
	return value, err
}
