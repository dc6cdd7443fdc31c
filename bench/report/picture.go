package report

import (
	"fmt"

	"github.com/snapstack/snapstack/bench/run"
)

// Measures of a picture of a stack, in its own units, which are about pixels.
const (
	pictureWidth = 340
	flowLeft     = 8
	flowWidth    = 56 // of the widest flow
	exitRight    = 92 // where what a layer answers leaves
	rowHeight    = 74
	textLeft     = 106
)

// A picture shows how many loads came to each layer of a stack: a flow from the top whose
// width is the loads, and from which each layer takes what it answers by itself.
type picture struct {
	Stack         stackName
	Width, Height int
	Layers        []pictureLayer
	Loads         string
}

type pictureLayer struct {
	Name, Text string
	Y          int
	Flow       string // path of what goes on to the next layer
	Exit       string // path of what this one answers
	Arrived    string // loads that came
	Share      string // of all loads of the stack
	Answered   string // what it answered, in words
	NameY      int
	LineY      int
	AnsweredY  int
	TextX      int
	Backend    bool
}

// newPicture returns nil where nothing is known of the layers or no load was made.
func newPicture(s run.Stack, name stackName) *picture {
	var most int64
	for _, l := range s.Layers {
		most = max(most, l.Loads)
	}
	if most <= 0 {
		return nil
	}
	wide := func(loads int64) float64 { return flowWidth * float64(max(0, loads)) / float64(most) }
	p := &picture{Stack: name, Width: pictureWidth, Height: rowHeight*len(s.Layers) + 6, Loads: count(s.Layers[0].Loads)}
	for i, l := range s.Layers {
		y := rowHeight * i
		layer := pictureLayer{
			Name: l.Name, Text: l.Text, Y: y, TextX: textLeft, Backend: i == len(s.Layers)-1,
			NameY: y + 18, LineY: y + 36, AnsweredY: y + 53,
			Arrived: count(l.Loads), Share: share(float64(l.Loads), float64(s.Layers[0].Loads)),
		}
		next := int64(0)
		if !layer.Backend {
			next = s.Layers[i+1].Loads
		}
		on, gone := wide(next), wide(l.Loads-next)
		if layer.Backend {
			layer.Exit = taken(0, wide(l.Loads), float64(y))
		} else {
			// A layer may ask more of the next one than was asked of it, as one that
			// looks for older snapshots; then the flow widens.
			layer.Flow = fmt.Sprintf("M%d %d h%.2f L%.2f %d H%d Z", flowLeft, y, min(on, wide(l.Loads)), flowLeft+on, y+rowHeight, flowLeft)
			if gone > 0 {
				layer.Exit = taken(on, gone, float64(y))
			}
		}
		layer.Answered = answered(l, next, layer.Backend)
		p.Layers = append(p.Layers, layer)
	}
	return p
}

// taken is the path of a flow that comes down at y, from left on, turns right and leaves
// as an arrow beside the text.
func taken(left, width, y float64) string {
	const bend = 6 // radius of the inner edge
	x := flowLeft + left
	bottom := max(y+width+bend, min(y+66, y+49+width/2)) // 49: the middle of the line that tells the share
	tip := min(9, width/2+1)
	return fmt.Sprintf("M%.2f %.2f H%.2f V%.2f A%d %d 0 0 0 %.2f %.2f H%.2f L%d %.2f L%.2f %.2f H%.2f A%.2f %.2f 0 0 1 %.2f %.2f Z",
		x, y, x+width, bottom-width-bend, bend, bend, x+width+bend, bottom-width, exitRight-tip,
		exitRight, bottom-width/2, exitRight-tip, bottom, x+width+bend, width+bend, width+bend, x, bottom-width-bend)
}

func answered(l run.Layer, next int64, backend bool) string {
	here := max(0, l.Loads-next)
	part := share(float64(here), float64(l.Loads))
	switch {
	case backend:
		return "answers what reaches it"
	case l.Shared != nil && here > 0:
		return part + " joined another load"
	case here > 0:
		return part + " answered here"
	default:
		return "lets every load through"
	}
}
