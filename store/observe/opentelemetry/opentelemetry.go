// Package opentelemetry is the Observer of package store/observe for OpenTelemetry:
// it records metrics and spans under the names that the semantic conventions have for
// database clients, with snapstack's own beside them.
//
// # Metrics
//
//	db.client.operation.duration   histogram, s    of every operation
//	snapstack.state.size           histogram, By   of states saved and found
//
// Both have the attributes db.system.name ("snapstack"), db.operation.name (as
// "load_latest"), snapstack.layer and snapstack.outcome, and where the outcome is a
// failure error.type, with the same value. No attribute holds a persistence id: there
// may be millions.
//
// # Spans
//
// A span of kind client stands for each operation, named after it and the layer, as
// "load_latest cache". It has these attributes, and snapstack.persistence_id,
// snapstack.sequence_nr and snapstack.state.size. Its status is Error where the outcome
// is a failure: absence, and a caller who gave up, are none.
//
// It is a package of its own so that programs without it do not depend on
// go.opentelemetry.io/otel.
package opentelemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/observe"
)

const scope = "github.com/snapstack/snapstack/store/observe/opentelemetry"

// Options configures an Observer. The zero value is a good default.
type Options struct {
	MeterProvider  metric.MeterProvider // nil means the global one
	TracerProvider trace.TracerProvider // nil means the global one
}

type observer struct {
	duration metric.Float64Histogram
	size     metric.Int64Histogram
	tracer   trace.Tracer
}

// New returns an Observer. It fails where the meter provider refuses an instrument.
func New(opts Options) (observe.Observer, error) {
	if opts.MeterProvider == nil {
		opts.MeterProvider = otel.GetMeterProvider()
	}
	if opts.TracerProvider == nil {
		opts.TracerProvider = otel.GetTracerProvider()
	}
	meter := opts.MeterProvider.Meter(scope)
	duration, durationErr := meter.Float64Histogram("db.client.operation.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Duration of snapshot store operations."),
		// Those that the conventions advise, and more below: a hit takes a microsecond.
		metric.WithExplicitBucketBoundaries(1e-6, 1e-5, 1e-4, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10))
	size, sizeErr := meter.Int64Histogram("snapstack.state.size",
		metric.WithUnit("By"),
		metric.WithDescription("Size of states saved and found."),
		metric.WithExplicitBucketBoundaries(256, 1<<10, 4<<10, 16<<10, 64<<10, 256<<10, 1<<20, 4<<20, 16<<20, 64<<20))
	if err := errors.Join(durationErr, sizeErr); err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("opentelemetry: %w", err))
	}
	return &observer{duration: duration, size: size, tracer: opts.TracerProvider.Tracer(scope)}, nil
}

// Begin implements observe.Observer.
func (o *observer) Begin(ctx context.Context, call observe.Call) (context.Context, func(observe.Result)) {
	name := strings.ReplaceAll(call.Op, " ", "_")
	common := []attribute.KeyValue{
		attribute.String("db.system.name", "snapstack"),
		attribute.String("db.operation.name", name),
		attribute.String("snapstack.layer", call.Layer),
	}
	ctx, span := o.tracer.Start(ctx, name+" "+call.Layer,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(common...),
		trace.WithAttributes(attribute.String("snapstack.persistence_id", call.PersistenceID)))
	return ctx, func(r observe.Result) { o.end(ctx, span, common, r) }
}

func (o *observer) end(ctx context.Context, span trace.Span, common []attribute.KeyValue, r observe.Result) {
	outcome := r.Outcome()
	common = append(common, attribute.String("snapstack.outcome", string(outcome)))
	if outcome.Failure() {
		common = append(common, attribute.String("error.type", string(outcome)))
	}
	attributes := metric.WithAttributes(common...)
	o.duration.Record(ctx, r.Duration.Seconds(), attributes)
	load := r.Op == store.OpLoadLatest || r.Op == store.OpLoadBefore
	if r.Err == nil && (load || r.Op == store.OpSave) {
		o.size.Record(ctx, int64(r.Bytes), attributes)
		span.SetAttributes(attribute.Int("snapstack.state.size", r.Bytes))
	}
	nr := r.SequenceNr
	if load && r.Err == nil {
		nr = r.Found
	}
	span.SetAttributes(common...)
	span.SetAttributes(attribute.Int64("snapstack.sequence_nr", int64(min(nr, store.MaxSequenceNr)))) // a bound can be more than that
	if outcome.Failure() {
		span.RecordError(r.Err)
		span.SetStatus(codes.Error, r.Err.Error())
	}
	span.End()
}
