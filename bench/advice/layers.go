package advice

import (
	"fmt"
	"slices"

	"github.com/snapstack/snapstack/store/stack"
)

// mostAdded is how many layers a stack may have over another for what it gains to be
// theirs: with more nobody can tell which one earned it.
const mostAdded = 2

// differences says what each layer earned, by comparing each stack with the one that
// resembles it most. Of a sweep, whose option is another matter, the first stack stands
// for all.
func differences(usable []subject, sweeps []sweep) []string {
	var said []string
	for i, s := range usable {
		if repeated(s, sweeps) {
			continue
		}
		base, what, found := subject{}, "", false
		distance := mostAdded + 1
		for j, other := range usable {
			// Between memory and a disk it is no layer that makes the difference.
			if j == i || repeated(other, sweeps) || s.volatile() != other.volatile() {
				continue
			}
			words, d, ok := difference(other.spec, s.spec)
			// Of two stacks that differ in an option the later one is what changed.
			if ok && d < distance && (d != 0 && len(s.spec) > len(other.spec) || j < i) {
				base, what, distance, found = other, words, d, true
			}
		}
		if found {
			said = append(said, fmt.Sprintf("%s (%s against %d): %s.", what, s.name(), base.number, outcome(base, s)))
		}
	}
	return said
}

// outcome lists what s gains over base, and what it pays.
func outcome(base, s subject) string {
	var gains, pays []string
	level := false
	for _, m := range metrics {
		ratio, differs, ok := m.ratio(base.Stack, s.Stack)
		switch {
		case !ok:
		case !differs:
			level = level || m.name == throughput.name
		case m.better(ratio):
			gains = append(gains, m.change(ratio))
		default:
			pays = append(pays, m.change(ratio))
		}
	}
	text := list(gains)
	switch {
	case len(gains) > 0 && len(pays) > 0:
		text += ", for " + list(pays)
	case len(pays) > 0:
		text = "no gain, for " + list(pays)
	case len(gains) == 0:
		return "no difference beyond the spread"
	}
	if level {
		text += "; no difference in throughput beyond the spread"
	}
	return text
}

// difference says how b differs from a, if it is in one respect: layers that it has more,
// an option, the kind of one layer, or their order. The distance is the number of layers
// more; the other respects count as one, and an option as none.
func difference(a, b stack.Spec) (what string, distance int, ok bool) {
	if len(a) == 0 || len(b) == 0 {
		return "", 0, false
	}
	a, b = withoutPlaces(a), withoutPlaces(b)
	if added, ok := added(a, b); ok && len(added) <= mostAdded {
		return "With " + list(added), len(added), true
	}
	if len(a) != len(b) {
		return "", 0, false
	}
	var at []int
	for i := range a {
		if a[i].String() != b[i].String() {
			at = append(at, i)
		}
	}
	switch {
	case len(at) == 0:
		return "", 0, false // the same: a difference is noise
	case len(at) == 1 && a[at[0]].Name == b[at[0]].Name:
		return fmt.Sprintf("With %s in place of %s", b[at[0]], a[at[0]]), 0, true
	case len(at) == 1:
		return fmt.Sprintf("With %s in place of %s", b[at[0]].Name, a[at[0]].Name), 1, true
	case slices.Equal(sorted(a), sorted(b)):
		return fmt.Sprintf("With the order %s in place of %s", subject{spec: b}.layers(), subject{spec: a}.layers()), 1, true
	}
	return "", 0, false
}

// added returns the names of the layers that b has more than a, where b is a otherwise.
func added(a, b stack.Spec) (names []string, ok bool) {
	at := 0
	for _, layer := range b {
		if at < len(a) && a[at].String() == layer.String() {
			at++
		} else {
			names = append(names, layer.Name)
		}
	}
	return names, at == len(a) && len(names) > 0
}

func sorted(spec stack.Spec) []string {
	var texts []string
	for _, layer := range spec {
		texts = append(texts, layer.String())
	}
	slices.Sort(texts)
	return texts
}
