package s3_test

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/s3"
	"github.com/snapstack/snapstack/store"
)

func TestCreateOnlyOnS3(t *testing.T) {
	f := newFake(t)
	s, err := objectstore.New(f.open(t), objectstore.Options{CreateOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: 5, State: []byte("five")}
	if err := s.Save(t.Context(), snap); err != nil || f.requests.Swap(0) != 1 {
		t.Errorf("Save: %v", err)
	}
	if err := s.Save(t.Context(), snap); !errors.Is(err, objectstore.ErrExists) || f.requests.Load() != 1 {
		t.Errorf("Save at a number that is taken: %v after %d requests; want ErrExists after 1", err, f.requests.Load())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The answer to the first attempt is lost, and the second finds what the first has put.
func TestCreateWhoseAnswerIsLostHasSucceeded(t *testing.T) {
	for _, c := range []struct {
		stands string // when the second attempt comes
		want   error
	}{{"mine", nil}, {"of another", objectstore.ErrExists}} {
		f := newFake(t)
		b := f.open(t)
		var attempts atomic.Int64
		f.first = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || attempts.Add(1) > 1 {
				return false
			}
			io.Copy(io.Discard, r.Body)
			if err := f.objects.Put(r.Context(), "a/1", []byte(c.stands)); err != nil {
				t.Error(err)
			}
			refuse(w, http.StatusInternalServerError, "InternalError")
			return true
		}
		if err := b.Create(t.Context(), "a/1", []byte("mine")); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("Create where the second attempt finds what is %s: %v; want %v", c.stands, err, c.want)
		}
		closeBucket(t, b)
	}
}

// S3 answers so to a Create that a concurrent Delete or Create upsets.
func TestConflictIsTriedAgain(t *testing.T) {
	f := newFake(t)
	b := f.openWith(t, s3.Options{Attempts: 2})
	defer closeBucket(t, b)
	f.first = func(w http.ResponseWriter, r *http.Request) bool {
		if f.requests.Load() > 1 {
			return false
		}
		io.Copy(io.Discard, r.Body)
		refuse(w, http.StatusConflict, "ConditionalRequestConflict")
		return true
	}
	if err := b.Create(t.Context(), "a/1", []byte("body")); err != nil || f.requests.Load() != 2 {
		t.Errorf("Create with a conflict first: %v after %d requests; want nil after 2", err, f.requests.Load())
	}
}

// To versitygw the last object of a folder that goes is in the way of one that comes.
func TestUploadBesideADeleteIsRepeated(t *testing.T) {
	f := newFake(t)
	b := f.open(t)
	defer closeBucket(t, b)
	f.first = func(w http.ResponseWriter, r *http.Request) bool {
		if f.requests.Load() > 1 {
			return false
		}
		io.Copy(io.Discard, r.Body)
		refuse(w, http.StatusConflict, "ExistingObjectIsDirectory")
		return true
	}
	if err := b.Put(t.Context(), "a/1", []byte("body")); err != nil || f.requests.Load() != 2 {
		t.Errorf("Put with a folder in its way at first: %v after %d requests; want nil after 2", err, f.requests.Load())
	}
}
