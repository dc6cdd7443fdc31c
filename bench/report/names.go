package report

import (
	"strings"

	"github.com/snapstack/snapstack/bench/run"
	"github.com/snapstack/snapstack/store/stack"
)

// A stackName is how the page shows which stack it speaks of: by a number, a colour, a
// marker and a dash, so that none of them is needed to tell it.
type stackName struct {
	Number int
	Text   string // as in the run
	Short  string // without what says only where snapshots are kept
	Color  int    // from 0
	Marker string // path of an SVG around 0, 0
	Dash   string
}

// colors is how many colours page.css has.
const colors = 8

// markers and dashes are as many as the colours; beyond them other combinations follow.
var (
	markers = [colors]string{
		"M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z",                          // circle
		"M-3.7 -3.7H3.7V3.7H-3.7Z",                                     // square
		"M0 -4.8L4.6 3.6H-4.6Z",                                        // triangle
		"M0 -5.2L5.2 0L0 5.2L-5.2 0Z",                                  // diamond
		"M0 4.8L4.6 -3.6H-4.6Z",                                        // triangle, down
		"M-1.5 -4.8H1.5V-1.5H4.8V1.5H1.5V4.8H-1.5V1.5H-4.8V-1.5H-1.5Z", // plus
		"M-5 -2H5V2H-5Z",                                               // bar
		"M0 -5L4.8 -1.5L3 4.1H-3L-4.8 -1.5Z",                           // pentagon
	}
	dashes = [colors]string{"", "8 3", "2 3", "9 3 2 3", "14 4", "5 2", "8 3 2 3 2 3", "3 5"}
)

func newStackNames(r run.Run) []stackName {
	names := make([]stackName, len(r.Stacks))
	for i, s := range r.Stacks {
		turn := i / colors
		names[i] = stackName{
			Number: i + 1, Text: s.Text, Short: short(s.Text),
			Color: i % colors, Marker: markers[(i+turn)%colors], Dash: dashes[(i+3*turn)%colors],
		}
	}
	return names
}

// short returns the text of a stack without the options that say where snapshots are kept,
// and how many, which the stacks of a run have in common or have no need to.
func short(text string) string {
	spec, err := stack.Split(text)
	if err != nil {
		return text // the name of a user's own store
	}
	layers := make([]string, len(spec))
	for i, layer := range spec {
		bare := stack.Layer{Name: layer.Name}
		for _, o := range layer.Options {
			switch o.Name {
			case "path", "prefix", "table", "keep":
				continue
			case "url":
				scheme, _, _ := strings.Cut(o.Value, ":")
				o.Value = scheme
			}
			bare.Options = append(bare.Options, o)
		}
		layers[i] = bare.String()
	}
	return strings.Join(layers, " | ")
}
