package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// A progressLine shows how far a command has come; how far it has to go nobody knows.
// The nil line shows nothing.
type progressLine struct {
	verb    string
	tracker *progress.Tracker
	drawn   chan struct{} // closed when the drawing goroutine has ended
}

// newProgress returns a line that is drawn on stderr until end is called, and nil
// where stderr is no terminal.
func newProgress(stderr io.Writer, verb string) *progressLine {
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return drawProgress(file, verb)
}

func drawProgress(w io.Writer, verb string) *progressLine {
	line := &progressLine{verb: verb, tracker: &progress.Tracker{Message: verb}, drawn: make(chan struct{})}
	writer := progress.NewWriter()
	writer.SetOutputWriter(w)
	writer.SetUpdateFrequency(100 * time.Millisecond)
	writer.SetTrackerPosition(progress.PositionRight)
	style := progress.StyleBlocks
	style.Options.TimeInProgressPrecision = time.Second
	style.Options.TimeDonePrecision = time.Second
	style.Visibility.Value = false
	style.Visibility.Percentage = false
	writer.SetStyle(style)
	writer.AppendTracker(line.tracker)
	writer.SetAutoStop(true) // when the tracker is done: a Stop ahead of Render would be lost
	go func() {
		defer close(line.drawn)
		writer.Render()
	}()
	return line
}

func (l *progressLine) update(snapshots, bytes int64) {
	if l != nil {
		l.tracker.UpdateMessage(fmt.Sprintf("%s %s, %s", l.verb, counted(snapshots), humanize.IBytes(uint64(bytes))))
	}
}

// end draws the line for the last time. Later calls do nothing.
func (l *progressLine) end() {
	if l != nil {
		l.tracker.MarkAsDone()
		<-l.drawn
	}
}
