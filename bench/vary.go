package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/snapstack/snapstack/store/stack"
)

// vary returns, for each stack that has a layer with the option, one with each of the
// values, and the others as they are. The text is option=value,value,... or
// layer.option=value,...; without a layer it is the outermost that has the option.
func vary(specs []stack.Spec, text string) ([]stack.Spec, error) {
	name, list, ok := strings.Cut(text, "=")
	values := strings.Split(list, ",")
	if !ok || name == "" || slices.Contains(values, "") {
		return nil, fmt.Errorf("%q: allowed is an option and its values, as size=8MiB,64MiB or zstd.level=fastest,better", text)
	}
	layer, option, ok := strings.Cut(name, ".")
	if !ok {
		layer, option = "", name
	}
	var varied []stack.Spec
	var refused error
	found := false
	for _, spec := range specs {
		at := slices.IndexFunc(spec, func(l stack.Layer) bool { return layer == "" || l.Name == layer })
		for ; at >= 0 && at < len(spec); at++ {
			if layer != "" && spec[at].Name != layer {
				continue
			}
			each, err := withEach(spec, at, option, values)
			if err == nil {
				varied = append(varied, each...)
				found = true
				break
			}
			if refused == nil || !strings.Contains(err.Error(), "unknown option") {
				refused = err
			}
		}
		if at < 0 || at == len(spec) {
			varied = append(varied, spec)
		}
	}
	if !found {
		if refused != nil {
			return nil, fmt.Errorf("%q: %w", text, refused)
		}
		return nil, fmt.Errorf("%q: no stack has a layer %q", text, layer)
	}
	return varied, nil
}

// withEach returns the spec with each of the values for the option of the layer at.
func withEach(spec stack.Spec, at int, option string, values []string) ([]stack.Spec, error) {
	var specs []stack.Spec
	for _, value := range values {
		one := slices.Clone(spec)
		options := slices.DeleteFunc(slices.Clone(one[at].Options), func(o stack.Option) bool { return o.Name == option })
		one[at].Options = append(options, stack.Option{Name: option, Value: value})
		if err := one.Check(); err != nil {
			return nil, err
		}
		specs = append(specs, one)
	}
	return specs, nil
}
