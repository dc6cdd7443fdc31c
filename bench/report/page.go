package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/snapstack/snapstack/bench/advice"
	"github.com/snapstack/snapstack/bench/run"
)

// A page is what page.html shows.
type page struct {
	Policy                  string
	UplotStyle, PageStyle   template.CSS
	UplotScript, PageScript template.JS
	UplotLicense            string
	Curves                  template.JS // JSON

	Run     run.Run
	Title   string
	Started string
	Old     string // when the old run was; "" without one
	Other   string // how the workload of the old run differs; "" where it doesn't
	Ran     string // what was run, a sentence
	Facts   []fact
	Stacks  []stackName
	Mishaps []mishap
	Summary []advice.Section // what opens the page: what is wrong, and who won
	Advice  []advice.Section // the rest

	Ratios     *ratioPlot
	Throughput table
	Loads      latencySection
	Saves      latencySection
	Timeline   timelineSection
	Memory     scatterSection
	Sizes      scatterSection
	Pictures   []picture
	NoPictures string
	Layers     table
	Requests   table
	Storage    string // its price
}

// units are numbers with a unit, which a line should not part.
var units = regexp.MustCompile(`(\d) (%|(?:ns|µs|ms|s|B|KiB|MiB|GiB)\b)`)

// A fact is one line of what was asked for.
type fact struct{ Name, Value string }

// A mishap is what went wrong with a stack.
type mishap struct {
	Stack    stackName
	Problems []string
}

type latencySection struct {
	Name, Verb string // "loads", "load"
	Drawn      bool
	Table      table
}

type timelineSection struct {
	Drawn bool
	Table table
}

type scatterSection struct {
	Plot    *scatterPlot
	Missing string // why there is no plot, a sentence
	Table   table
}

func newPage(r run.Run, old *run.Run) (page, error) {
	names := newStackNames(r)
	lines := newCurves(r, names)
	data, err := json.Marshal(struct { // which escapes what would end the element
		curves
		Styles []stackName `json:"styles"`
	}{lines, names})
	if err != nil {
		return page{}, err
	}
	before := newBefore(r, old)
	p := page{
		Policy:     policy(),
		UplotStyle: template.CSS(uplotStyle), PageStyle: template.CSS(pageStyle),
		UplotScript: template.JS(uplotScript), PageScript: template.JS(pageScript),
		UplotLicense: uplotLicense, Curves: template.JS(data),

		Run: r, Title: "Snapstack bench: " + scenario(r.Workload), Started: moment(r.Started),
		Ran: ran(r), Facts: facts(r), Stacks: names,

		Ratios:     newRatioPlot(r, names),
		Throughput: throughputTable(r, names, before),
		Loads:      latencySection{"Loads", "load", len(lines.Loads) > 0, latencyTable(r, names, before, "loads")},
		Saves:      latencySection{"Saves", "save", len(lines.Saves) > 0, latencyTable(r, names, before, "saves")},
		Timeline:   timelineSection{len(lines.Throughput) > 0, roundsTable(r, names)},
		Memory:     memorySection(r, names, before),
		Sizes:      sizeSection(r, names, before),
		Layers:     layersTable(r, names),
		Requests:   requestsTable(r, names, before),
		Storage:    dollars(r.Prices.Storage),
	}
	if old != nil {
		p.Old, p.Other = moment(old.Started), before.other
	}
	sections := advice.Sections(r)
	for _, section := range sections {
		for i, sentence := range section.Sentences {
			section.Sentences[i] = units.ReplaceAllString(sentence, "$1\u00a0$2")
		}
	}
	opening := slices.IndexFunc(sections, func(s advice.Section) bool { return !s.Warning }) + 1
	if opening == 0 { // there are warnings alone
		opening = len(sections)
	}
	p.Summary, p.Advice = sections[:opening], sections[opening:]
	var without []string
	for i, s := range r.Stacks {
		if len(s.Problems) > 0 {
			p.Mishaps = append(p.Mishaps, mishap{names[i], s.Problems})
		}
		if picture := newPicture(s, names[i]); picture != nil {
			p.Pictures = append(p.Pictures, *picture)
		} else {
			without = append(without, fmt.Sprint(i+1))
		}
	}
	switch {
	case len(p.Pictures) == 0:
		p.NoPictures = "No stack has counts of the loads of its layers."
	case len(without) > 0:
		p.NoPictures = "Without a picture, having no counts of loads: stack " + strings.Join(without, ", ") + "."
	}
	return p, nil
}

func scenario(w run.Workload) string {
	if w.Scenario == "" {
		return "a run"
	}
	return w.Scenario
}

func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }

// ran says what was run.
func ran(r run.Run) string {
	w := r.Workload
	var parts []string
	if w.Meaning != "" {
		parts = append(parts, strings.TrimSuffix(w.Meaning, "."))
	}
	parts = append(parts, fmt.Sprintf("%s entities, %s loads, %s operations at a time", count(int64(w.IDs)), plain(w.Reads), count(int64(w.Concurrency))))
	if w.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%s operations a second, their latency counted from when they were due", amount(w.Rate)))
	}
	stacks := "1 stack"
	if n := len(r.Stacks); n != 1 {
		stacks = fmt.Sprintf("%d stacks", n)
	}
	parts = append(parts, fmt.Sprintf("%s, measured in %d rounds side by side, %s each", stacks, w.Rounds, duration(w.DurationSeconds)))
	text := strings.Join(parts, "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// facts are the parameters in full.
func facts(r run.Run) []fact {
	w, m := r.Workload, r.Machine
	kind := "the user's own"
	if w.States.Generated {
		kind = "generated"
	}
	all := []fact{
		{"Machine", fmt.Sprintf("%s on %s/%s, %d CPUs", m.Go, m.OS, m.Arch, m.CPUs)},
		{"Took", duration(r.Seconds) + " in all"},
		{"States", fmt.Sprintf("%s, %s, of %s to %s, %s together", count(int64(w.States.Count)), kind, size(w.States.MinBytes), size(w.States.MaxBytes), size(w.States.Bytes))},
		{"Change", plain(w.Change) + " of a state from one to the next"},
		{"Warm-up", duration(w.WarmupSeconds) + " each"},
		{"Seed", fmt.Sprint(w.Seed)},
	}
	if w.Skew > 0 {
		all = append(all, fact{"Skew", "zipf, exponent " + amount(w.Skew)})
	}
	if w.LoadDelaySeconds > 0 || w.SaveDelaySeconds > 0 {
		all = append(all, fact{"Added on purpose", fmt.Sprintf("%s to each load of the backend, %s to each save", duration(w.LoadDelaySeconds), duration(w.SaveDelaySeconds))})
	}
	if slices.ContainsFunc(r.Stacks, func(s run.Stack) bool { return s.Requests != nil }) {
		all = append(all, fact{"Prices", fmt.Sprintf("%s: %s for 1000 PUT or LIST, %s for 1000 GET, %s for a GB and month", r.Prices.Name, dollars(r.Prices.Put), dollars(r.Prices.Get), dollars(r.Prices.Storage))})
	}
	return all
}
