package opentelemetry_test

import (
	"errors"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/observe"
	"github.com/snapstack/snapstack/store/observe/opentelemetry"
)

func TestMetricsAndSpans(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	spans := tracetest.NewSpanRecorder()
	observer, err := opentelemetry.New(opentelemetry.Options{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := observe.New(inner, observe.Options{Layer: "backend", Observers: []observe.Observer{observer}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 7, State: []byte("seven")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.LoadBefore(t.Context(), "order-1", 1<<63); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoadLatest(t.Context(), "order-2"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := s.LoadLatest(t.Context(), ""); !errors.Is(err, store.ErrInvalid) {
		t.Fatal(err)
	}

	attributes := func(op, outcome string, more ...attribute.KeyValue) attribute.Set {
		return attribute.NewSet(append(more,
			attribute.String("db.system.name", "snapstack"), attribute.String("db.operation.name", op),
			attribute.String("snapstack.layer", "backend"), attribute.String("snapstack.outcome", outcome))...)
	}
	saved, found, absent := attributes("save", "ok"), attributes("load_before", "ok"), attributes("load_latest", "not_found")
	refused := attributes("load_latest", "invalid", attribute.String("error.type", "invalid"))

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	counts := map[string]map[attribute.Set]uint64{}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		counts[m.Name+" "+m.Unit] = map[attribute.Set]uint64{}
		switch data := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				counts[m.Name+" "+m.Unit][p.Attributes] = p.Count
			}
		case metricdata.Histogram[int64]:
			for _, p := range data.DataPoints {
				counts[m.Name+" "+m.Unit][p.Attributes] = p.Count
				if p.Sum != 5*int64(p.Count) {
					t.Errorf("%s: sum %d of %d; want 5 each", m.Name, p.Sum, p.Count)
				}
			}
		}
	}
	for name, want := range map[string]map[attribute.Set]uint64{
		"db.client.operation.duration s": {saved: 2, found: 1, absent: 1, refused: 1},
		"snapstack.state.size By":        {saved: 2, found: 1},
	} {
		if len(counts[name]) != len(want) {
			t.Errorf("%s has %v; want %v", name, counts[name], want)
		}
		for set, n := range want {
			if counts[name][set] != n {
				t.Errorf("%s of %v: %d; want %d", name, set.Encoded(attribute.DefaultEncoder()), counts[name][set], n)
			}
		}
	}

	ended := spans.Ended()
	if len(ended) != 5 {
		t.Fatalf("%d spans; want 5", len(ended))
	}
	for i, want := range []struct {
		name   string
		status codes.Code
		nr     int64
		size   int64
		events int
	}{
		{"save backend", codes.Unset, 7, 5, 0},
		{"save backend", codes.Unset, 7, 5, 0},
		{"load_before backend", codes.Unset, 7, 5, 0},
		{"load_latest backend", codes.Unset, 0, 0, 0},
		{"load_latest backend", codes.Error, 0, 0, 1},
	} {
		span := ended[i]
		got := attribute.NewSet(span.Attributes()...)
		nr, _ := got.Value("snapstack.sequence_nr")
		size, _ := got.Value("snapstack.state.size")
		if _, ok := got.Value("snapstack.persistence_id"); !ok || span.Name() != want.name || span.SpanKind() != trace.SpanKindClient ||
			span.Status().Code != want.status || nr.AsInt64() != want.nr || size.AsInt64() != want.size || len(span.Events()) != want.events {
			t.Errorf("span %d is %q, %v, %v, %d events; want %+v", i, span.Name(), span.Status(), span.Attributes(), len(span.Events()), want)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Without providers there are the global ones, which do nothing until they are set.
func TestGlobalProviders(t *testing.T) {
	if _, err := opentelemetry.New(opentelemetry.Options{}); err != nil {
		t.Error(err)
	}
}
