// Package advice says in plain words what a run of bench showed: what is wrong with it,
// which stack won at what, what each layer earned, and what to try next.
//
// It claims no difference that lies within the spread of the rounds, and nothing that was
// not measured. Each rule has its thresholds as constants beside it, with the reason.
//
// Of the libraries used, dustin/go-humanize reads and writes sizes and large numbers.
package advice

import (
	"slices"
	"strings"

	"github.com/snapstack/snapstack/bench/run"
)

// lineLength is how many characters a line of Text has at most, unless a word is longer.
const lineLength = 80

// A Section is what is to be said on one subject. Title and sentences are plain text and
// may hold what users wrote, as the texts of stacks.
type Section struct {
	Title     string   // as "What the layers earned"
	Warning   bool     // that it says what is wrong or uncertain
	Sentences []string // at least one
}

// Text returns the advice on a run for a terminal: a paragraph for each section, of lines
// of up to 80 characters, with an empty line between them and a newline at the end.
func Text(r run.Run) string {
	var b strings.Builder
	for i, section := range Sections(r) {
		if i > 0 {
			b.WriteByte('\n')
		}
		paragraph := section.Title + ". " + strings.Join(section.Sentences, " ")
		length := 0
		for word := range strings.FieldsSeq(paragraph) {
			runes := len([]rune(word))
			if length > 0 && length+1+runes > lineLength {
				b.WriteByte('\n')
				length = 0
			}
			if length > 0 {
				b.WriteByte(' ')
				length++
			}
			b.WriteString(word)
			length += runes
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Sections returns the advice on a run, at least one section.
func Sections(r run.Run) []Section {
	all := subjects(r)
	sections := []Section{{Title: "Mind first", Warning: true, Sentences: warnings(r, all)}}
	if usable := usable(all); len(usable) > 0 {
		sweeps := findSweeps(usable)
		sections = append(sections,
			Section{Title: "Which stack won at what", Sentences: winners(usable)},
			Section{Title: "What the layers earned", Sentences: differences(usable, sweeps)},
			Section{Title: "What the layers did", Sentences: figures(usable)},
			Section{Title: "How far to go", Sentences: knees(sweeps)},
			Section{Title: "What to try next", Sentences: next(r, usable, sweeps)})
	}
	return slices.DeleteFunc(sections, func(s Section) bool { return len(s.Sentences) == 0 })
}
