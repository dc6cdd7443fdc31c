package advice

import (
	"cmp"
	"fmt"
	"slices"
)

// winners says which stacks won at what. Stacks in memory would win at nearly everything
// and keep nothing: they are set apart, unless there are no others.
func winners(usable []subject) []string {
	var durable, volatile []subject
	for _, s := range usable {
		if s.volatile() {
			volatile = append(volatile, s)
		} else {
			durable = append(durable, s)
		}
	}
	candidates := durable
	if len(durable) == 0 {
		candidates, volatile = volatile, nil
	}

	said := contest(candidates)
	switch len(volatile) {
	case 0:
	case 1:
		said = append(said, fmt.Sprintf("%s keeps its snapshots in memory and loses them with the process: it shows what is possible at most, %s.",
			sentence(names(volatile)), throughput.show(volatile[0].OpsPerSecond)))
	default:
		fastest := slices.MaxFunc(volatile, func(a, b subject) int { return cmp.Compare(a.OpsPerSecond, b.OpsPerSecond) })
		said = append(said, fmt.Sprintf("%s keep their snapshots in memory and lose them with the process: they show what is possible at most, %s (%s).",
			sentence(names(volatile)), throughput.show(fastest.OpsPerSecond), fastest.name()))
	}
	return said
}

// contest compares the candidates by every metric and returns a sentence for each that
// won at something, and one for what nobody won at.
func contest(candidates []subject) []string {
	if len(candidates) == 1 {
		return []string{alone(candidates[0])}
	}
	type winner struct {
		key  string
		best []subject
		at   []string
	}
	var order []*winner
	var undecided []string
	for _, m := range metrics {
		best, compared := m.best(candidates)
		switch {
		case compared < 2:
			continue
		case len(best) == compared:
			undecided = append(undecided, m.name)
			continue
		}
		won := fmt.Sprintf("%s (%s", m.name, m.of(best[0]))
		if first := candidates[0]; best[0].number != first.number {
			if ratio, differs, ok := m.ratio(first.Stack, best[0].Stack); ok && differs {
				won += ", " + m.than(ratio, first.name())
			}
		}
		won += ")"
		var w *winner
		for _, one := range order {
			if one.key == names(best) {
				w = one
			}
		}
		if w == nil {
			w = &winner{key: names(best), best: best}
			order = append(order, w)
		}
		w.at = append(w.at, won)
	}

	var said []string
	for _, w := range order {
		who, won := sentence(names(w.best)), "won"
		if len(w.best) == 1 {
			who += " (" + w.best[0].layers() + ")"
		} else {
			won = "share the lead"
		}
		said = append(said, fmt.Sprintf("%s %s at %s.", who, won, list(w.at)))
	}
	if len(undecided) > 0 {
		said = append(said, fmt.Sprintf("At %s no stack stands out: the differences are within the spread.", list(undecided)))
	}
	return said
}

// alone describes the one stack of a run.
func alone(s subject) string {
	var figures []string
	for _, m := range metrics {
		if value, ok := m.value(s.Stack); ok && finite(value) {
			figures = append(figures, m.name+" "+m.of(s))
		}
	}
	return fmt.Sprintf("%s (%s) had nothing to be compared with: %s.", sentence(s.name()), s.layers(), list(figures))
}

// best returns the best subject and those that don't differ from it, and how many had a
// value that can be compared.
func (m metric) best(candidates []subject) (best []subject, compared int) {
	var with []subject
	for _, s := range candidates {
		if _, _, ok := m.ratio(s.Stack, s.Stack); ok {
			with = append(with, s)
		}
	}
	if len(with) == 0 {
		return nil, 0
	}
	top := with[0]
	for _, s := range with[1:] {
		if ratio, _, ok := m.ratio(top.Stack, s.Stack); ok && m.better(ratio) {
			top = s
		}
	}
	best = []subject{top}
	for _, s := range with {
		if s.number == top.number {
			continue
		}
		if _, differs, ok := m.ratio(top.Stack, s.Stack); !ok || !differs {
			best = append(best, s)
		}
	}
	slices.SortFunc(best, func(a, b subject) int { return cmp.Compare(a.number, b.number) })
	return best, len(with)
}

// of returns the value of a subject in words.
func (m metric) of(s subject) string {
	value, _ := m.value(s.Stack)
	return m.show(value)
}
