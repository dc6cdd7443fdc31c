package objectstore

import (
	"context"
	"errors"
)

// ErrNoObject is what Bucket.Get returns where no object has the key. It is not
// store.ErrNotFound: only a Store can say that there is no snapshot.
var ErrNoObject = errors.New("no such object")

// ErrThrottled is what an error of a Bucket matches where its service wants fewer requests
// a second. A load that fails with it says nothing of what is stored, and a Save may be
// repeated.
var ErrThrottled = errors.New("throttled")

// Bucket holds objects by key. A Store is all of its callers need; it is here for
// those who bring a bucket of their own, whose test is one call of
// buckettest.Run.
//
// A key is one to 1024 bytes: segments of 1 to 200 letters, digits, '.', '_' and '-',
// none of them "." or "..", with '/' between them. No key that a Store uses is a
// path prefix of another. Objects with any other keys may be in a bucket too: List
// may yield them or not.
//
// Methods are called concurrently, and must obey ctx: when it ends they return soon,
// with an error matching ctx.Err(), and when it has ended before the call they do
// nothing. A method that fails says so; it never reports an object as absent that
// may be there.
//
// What a Put or Delete that returned nil did is seen by every Get and List that
// begins afterwards, from any process. After an error of either the outcome is
// unknown.
type Bucket interface {
	// Put stores body at key, in place of what stood there. It is atomic: nobody
	// ever sees a part of an object, also after a crash. From the call on nobody
	// writes body any more, so the bucket may keep it.
	Put(ctx context.Context, key string, body []byte) error

	// Get returns the object at key and its tag, or ErrNoObject. The caller owns
	// the body and may write it.
	Get(ctx context.Context, key string) (body []byte, etag string, err error)

	// List returns objects whose keys begin with prefix and lie after the key given
	// as after (exclusive; it need not exist; empty means from the first on), in
	// byte order of their keys. It returns at most limit of them, which is 1 or
	// more, and says whether there may be more behind the last; an empty list has
	// nothing behind it. A prefix is empty or ends in "/".
	//
	// An object that is there during the whole call is in the list, also while others
	// come and go. One that is put, replaced or deleted meanwhile may be shown as it
	// was at any moment of the call, and not at the same one as the others.
	List(ctx context.Context, prefix, after string, limit int) (objects []Object, more bool, err error)

	// Delete removes the objects at keys, of which there are 1 to 1000. A key
	// without an object is no error.
	Delete(ctx context.Context, keys []string) error

	// Close releases what the bucket holds. It is called once, when no other call
	// is in flight.
	Close() error
}

// ErrExists is what Creator.Create, and a Save with Options.CreateOnly, fail with where
// an object has the key. That object is as it was.
var ErrExists = errors.New("object exists already")

// Creator is a Bucket that can put an object where there is none. The three that ship
// are.
type Creator interface {
	Bucket

	// Create is Put if no object has the key, and otherwise returns ErrExists. The two are
	// one step: of several Creates of one key, from whichever process, one returns nil
	// at most.
	Create(ctx context.Context, key string, body []byte) error
}

// Object is what a listing tells of an object.
type Object struct {
	Key  string
	Size int64 // bytes in the body

	// ETag tells bodies apart: two that stood at the same key and differ have
	// different tags, and the same tag is given by List and Get. It is how a load
	// knows that it got what it had listed. Where List and Get do not agree on tags a
	// load takes one List more.
	ETag string
}
