package main

import (
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"

	"github.com/snapstack/snapstack/bench/workload"
)

// A progressBar shows how far a run has come. The nil bar shows nothing.
type progressBar struct {
	tracker *progress.Tracker
	drawn   chan struct{} // closed when the drawing goroutine has ended
}

// newProgress returns a bar that is drawn on stderr until end is called, and nil
// where stderr is no terminal.
func newProgress(stderr io.Writer) *progressBar {
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		width = 80 // as terminals were before they could be asked
	}
	return drawProgress(file, width)
}

func drawProgress(w io.Writer, width int) *progressBar {
	bar := &progressBar{tracker: &progress.Tracker{Message: "starting"}, drawn: make(chan struct{})}
	// The tracker must not end by itself when the last step begins.
	bar.tracker.AutoStopDisabled = true
	writer := progress.NewWriter()
	writer.SetOutputWriter(w)
	writer.SetTerminalWidth(width)
	writer.SetUpdateFrequency(100 * time.Millisecond)
	writer.SetTrackerPosition(progress.PositionLeft)
	style := progress.StyleBlocks
	style.Options.TimeInProgressPrecision = time.Second
	style.Options.TimeDonePrecision = time.Second
	style.Options.Separator = "  "
	style.Visibility.Value = false
	style.Visibility.ETA = true
	writer.SetStyle(style)
	writer.AppendTracker(bar.tracker)
	// Drawing ends when the tracker is done. Stop would be lost where it came before
	// Render had begun.
	writer.SetAutoStop(true)
	go func() {
		defer close(bar.drawn)
		writer.Render()
	}()
	return bar
}

// update shows the step that begins.
func (b *progressBar) update(p workload.Progress) {
	if b == nil {
		return
	}
	b.tracker.UpdateTotal(int64(p.Steps))
	b.tracker.SetValue(int64(p.Step))
	if p.Doing != "" {
		b.tracker.UpdateMessage(p.Doing + ": " + p.Target)
	}
}

// end draws the bar for the last time.
func (b *progressBar) end() {
	if b == nil {
		return
	}
	b.tracker.UpdateMessage("measured")
	b.tracker.MarkAsDone()
	<-b.drawn
}
