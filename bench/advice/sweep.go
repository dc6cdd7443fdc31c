package advice

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/store/stack"
)

const (
	// leastSwept is how many values of an option make a sweep: two have no knee.
	leastSwept = 3
	// kneeShare is how close to the best throughput the knee is: less than a tenth is
	// seldom worth twice the memory.
	kneeShare = 0.10
)

// A sweep is stacks that differ in the value of one option alone, by rising value.
type sweep struct {
	layer, option string
	stacks        []subject
	values        []string
}

// findSweeps returns the sweeps among the subjects.
func findSweeps(usable []subject) []sweep {
	type member struct {
		subject
		value string
		order float64
	}
	groups := make(map[string][]member)
	var keys []string // in order of appearance
	shown := make(map[string][2]string)
	for _, s := range usable {
		spec := withoutPlaces(s.spec)
		for i, layer := range spec {
			for j, option := range layer.Options {
				order, ok := orderOf(option.Value)
				if !ok {
					continue
				}
				rest := slices.Clone(spec)
				rest[i].Options = slices.Clone(layer.Options)
				rest[i].Options[j].Value = ""
				key := fmt.Sprint(i, " ", j, " ", rest.String())
				if groups[key] == nil {
					keys = append(keys, key)
					shown[key] = [2]string{layer.Name, option.Name}
				}
				if !slices.ContainsFunc(groups[key], func(m member) bool { return m.value == option.Value }) {
					groups[key] = append(groups[key], member{s, option.Value, order})
				}
			}
		}
	}
	var sweeps []sweep
	for _, key := range keys {
		members := groups[key]
		if len(members) < leastSwept {
			continue
		}
		slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.order, b.order) })
		one := sweep{layer: shown[key][0], option: shown[key][1]}
		for _, m := range members {
			one.stacks = append(one.stacks, m.subject)
			one.values = append(one.values, m.value)
		}
		sweeps = append(sweeps, one)
	}
	return sweeps
}

// orderOf returns what a value is ordered by: levels, numbers, sizes and durations.
func orderOf(value string) (float64, bool) {
	if level := slices.Index([]string{"fastest", "default", "better", "best"}, value); level >= 0 {
		return float64(level), true
	}
	if number, err := strconv.ParseFloat(value, 64); err == nil && finite(number) {
		return number, true
	}
	if bytes, err := humanize.ParseBytes(value); err == nil {
		return float64(bytes), true
	}
	if d, err := time.ParseDuration(value); err == nil {
		return d.Seconds(), true
	}
	return 0, false
}

func (w sweep) has(s subject) bool {
	return slices.ContainsFunc(w.stacks, func(o subject) bool { return o.number == s.number })
}

// repeated tells whether the stack stands in a sweep that another one leads.
func repeated(s subject, sweeps []sweep) bool {
	return slices.ContainsFunc(sweeps, func(w sweep) bool { return w.has(s) && w.stacks[0].number != s.number })
}

// knees says for each sweep where more no longer helps.
func knees(sweeps []sweep) []string {
	var said []string
	for _, w := range sweeps {
		if knee := w.knee(); knee != "" {
			said = append(said, knee)
		}
		if trade := w.trade(); trade != "" {
			said = append(said, trade)
		}
	}
	return said
}

// knee says from which value on the throughput is as good as the best.
func (w sweep) knee() string {
	best, compared := throughput.best(w.stacks)
	if compared < len(w.stacks) {
		return ""
	}
	name := w.layer + "." + w.option
	if len(best) == compared {
		return fmt.Sprintf("Between %s of %s and %s the throughput does not differ beyond the spread.", name, w.values[0], w.values[len(w.values)-1])
	}
	top := slices.MaxFunc(w.stacks, func(a, b subject) int { return cmp.Compare(a.OpsPerSecond, b.OpsPerSecond) })
	knee := slices.IndexFunc(w.stacks, func(s subject) bool {
		ratio, differs, ok := throughput.ratio(top.Stack, s.Stack)
		return ok && (!differs || ratio >= 1-kneeShare)
	})
	if knee == 0 {
		return fmt.Sprintf("%s=%s is enough: no other value has %s more throughput.", name, w.values[0], percent(kneeShare))
	}
	at := fmt.Sprintf("%s=%s (%s", name, w.values[knee], w.stacks[knee].name())
	if ratio, differs, ok := throughput.ratio(w.stacks[0].Stack, w.stacks[knee].Stack); ok && differs {
		at += ", throughput " + throughput.than(ratio, "at "+w.values[0])
	}
	if hits, ok := w.stacks[knee].hits(); ok && w.layer == "cache" {
		at += ", " + percent(hits) + " hits"
	}
	at += ")"
	if knee == len(w.stacks)-1 {
		return fmt.Sprintf("The throughput still grows at %s, the largest: the knee lies beyond it, so try larger ones.", at)
	}
	return fmt.Sprintf("The knee is at %s: beyond it less than %s of throughput is left to win.", at, percent(kneeShare))
}

// trade says what the stack that stores least pays for it.
func (w sweep) trade() string {
	least, compared := stored.best(w.stacks)
	if compared < len(w.stacks) || len(least) == compared {
		return ""
	}
	cheap := w.stacks[0]
	ratio, differs, ok := stored.ratio(cheap.Stack, least[0].Stack)
	if !ok || !differs || ratio > 1 {
		return ""
	}
	i := slices.IndexFunc(w.stacks, func(s subject) bool { return s.number == least[0].number })
	return fmt.Sprintf("%s.%s %s against %s: %s.", w.layer, w.option, w.values[i], w.values[0], outcome(cheap, least[0]))
}

// isSwept tells whether a sweep varies the option of the layer over the stack.
func isSwept(s subject, layer, option string, sweeps []sweep) bool {
	return slices.ContainsFunc(sweeps, func(w sweep) bool {
		return w.layer == layer && w.option == option && w.has(s)
	})
}

// optionOf returns the value of an option of the outermost layer of the name.
func optionOf(s subject, layer, option string) string {
	at := slices.IndexFunc(s.spec, func(l stack.Layer) bool { return l.Name == layer })
	if at < 0 {
		return ""
	}
	return value(s.spec[at], option)
}
