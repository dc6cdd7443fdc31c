package observe_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store/observe"
)

// A line for each operation, at level Debug, or Error where one failed.
func Example() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" {
				return slog.Attr{} // differ each time
			}
			return a
		},
	}))
	backend, err := memory.New(memory.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	snapshots, err := observe.New(backend, observe.Options{Layer: "backend", Observers: []observe.Observer{observe.NewSlog(logger)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close()

	_, err = snapshots.LoadLatest(context.Background(), "order-42")
	fmt.Println(err)
	// Output:
	// level=DEBUG msg="snapshot operation" layer=backend op="load latest" persistence_id=order-42 sequence_nr=0 found=0 bytes=0 outcome=not_found error="load latest \"order-42\": snapshot not found"
	// load latest "order-42": snapshot not found
}
