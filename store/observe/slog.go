package observe

import (
	"context"
	"log/slog"
)

// NewSlog returns an Observer that writes a line to the logger for each operation:
// with level Error where the outcome is a Failure, with Debug otherwise. Nil means
// slog.Default at the time of the operation.
func NewSlog(logger *slog.Logger) Observer { return slogObserver{logger} }

type slogObserver struct{ logger *slog.Logger }

func (o slogObserver) Begin(ctx context.Context, _ Call) (context.Context, func(Result)) {
	return ctx, func(r Result) { o.log(ctx, r) }
}

func (o slogObserver) log(ctx context.Context, r Result) {
	logger := o.logger
	if logger == nil {
		logger = slog.Default()
	}
	outcome := r.Outcome()
	level := slog.LevelDebug
	if outcome.Failure() {
		level = slog.LevelError
	}
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("layer", r.Layer),
		slog.String("op", r.Op),
		slog.String("persistence_id", r.PersistenceID),
		slog.Uint64("sequence_nr", r.SequenceNr),
		slog.Uint64("found", r.Found),
		slog.Int("bytes", r.Bytes),
		slog.Duration("duration", r.Duration),
		slog.String("outcome", string(outcome)),
	}
	if r.Err != nil {
		attrs = append(attrs, slog.Any("error", r.Err))
	}
	logger.LogAttrs(ctx, level, "snapshot operation", attrs...)
}
