package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/bench/run"
)

// pageOf returns the page of a run, and what it says without scripts and styles.
func pageOf(t *testing.T, r run.Run, old *run.Run) (page, text string) {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, old); err != nil {
		t.Fatal(err)
	}
	page = b.String()
	text = regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)>`).ReplaceAllString(page, "")
	return page, html.UnescapeString(text)
}

// curvesOf returns the JSON in a page.
func curvesOf(t *testing.T, page string) curves {
	t.Helper()
	found := regexp.MustCompile(`(?s)<script type="application/json" id="curves">(.*?)</script>`).FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no curves")
	}
	var c curves
	if err := json.Unmarshal([]byte(found[1]), &c); err != nil {
		t.Fatalf("%v\n%s", err, found[1])
	}
	return c
}

func TestWriteEscapesWhatUsersWrote(t *testing.T) {
	const nasty = `"</script><script>alert(1)</script><!-- ' <img src=x onerror=alert(2)> ` + "\u2028 {{.}} `${x}` </title></style>"
	r := sample(t, "eight")
	r.Workload.Scenario, r.Workload.Meaning, r.Prices.Name, r.Machine.Go = nasty, nasty, nasty, nasty
	for i := range r.Stacks {
		r.Stacks[i].Text = nasty
		r.Stacks[i].Problems = []string{nasty}
		for j := range r.Stacks[i].Layers {
			r.Stacks[i].Layers[j].Name, r.Stacks[i].Layers[j].Text = nasty, nasty
		}
	}
	page, text := pageOf(t, r, &r)
	for tag, want := range map[string]int{"<script": 3, "</script": 3, "<style": 2, "</style": 2, "<img": 0, "<!--": 0} {
		if n := strings.Count(page, tag); n != want {
			t.Errorf("the page has %s %d times, want %d", tag, n, want)
		}
	}
	if strings.Count(text, nasty) < 20 {
		t.Errorf("the page shows the text %d times as it is", strings.Count(text, nasty))
	}
	for i, c := range curvesOf(t, page).Loads {
		if c.Name != nasty {
			t.Errorf("curve %d is called %q", i, c.Name)
		}
	}
}

// TestPolicy tells that the page names its own styles and scripts by their hashes, so that
// nothing else runs. That a browser agrees is TestInChromium's.
func TestPolicy(t *testing.T) {
	page, _ := pageOf(t, sample(t, "one"), nil)
	found := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no policy")
	}
	policy := html.UnescapeString(found[1])
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy is %s", policy)
	}
	contents := regexp.MustCompile(`(?s)<(?:script|style)>(.*?)</(?:script|style)>`).FindAllStringSubmatch(page, -1)
	if len(contents) != 4 {
		t.Fatalf("the page has %d scripts and styles", len(contents))
	}
	for _, content := range contents {
		if !strings.Contains(policy, hash(content[1])) {
			t.Errorf("the policy lacks the hash of %.60s", content[1])
		}
	}
	if found := regexp.MustCompile(`(?:src|href|action)="[^"]*"|style="|url\(|@import`).FindAllString(regexp.MustCompile(`(?s)<script.*?</script>`).ReplaceAllString(page, ""), -1); len(found) != 1 || found[0] != `href="data:,"` {
		t.Errorf("the page refers to %v", found)
	}
}

// TestWriteOddNumbers has numbers that JSON has none for.
func TestWriteOddNumbers(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0} {
		for _, name := range sampleNames {
			r := sample(t, name)
			r.Seconds, r.Workload.Reads, r.Workload.Rate, r.Workload.DurationSeconds, r.Prices.Storage = x, x, x, x, x
			for i := range r.Stacks {
				s := &r.Stacks[i]
				if i%2 == 0 {
					s.OpsPerSecond, s.Ratio, s.CPUSeconds, s.Allocs, s.AllocBytes = x, &x, x, x, x
				} else {
					s.Spread = &x
				}
				for j := range s.Rounds {
					s.Rounds[j] = run.Round{Seconds: x, OpsPerSecond: x, CPUSeconds: x}
				}
				for j := range s.Timeline {
					if j%3 == 0 {
						s.Timeline[j].Seconds, s.Timeline[j].Length = x, x
					}
				}
				for _, l := range []*run.Latency{&s.Loads, &s.Saves} {
					l.Mean, l.P50, l.P99, l.Max = x, x, x, x
					for j := range l.Curve {
						switch j % 4 {
						case 0:
							l.Curve[j].Seconds = x
						case 1:
							l.Curve[j].Percentile = x
						}
					}
				}
				if s.Requests != nil {
					s.Requests.Dollars = x
				}
			}
			old := sample(t, name)
			page, text := pageOf(t, r, &old)
			for _, bad := range []string{"NaN", "Inf", "9,223,372"} {
				if at := strings.Index(text, bad); at >= 0 {
					t.Errorf("%s with %v shows %s: %s", name, x, bad, text[max(0, at-80):at+20])
				}
			}
			for _, c := range curvesOf(t, page).Loads {
				for i := 1; i < len(c.X); i++ {
					if c.X[i] <= c.X[i-1] {
						t.Errorf("%s with %v: x goes from %v to %v", name, x, c.X[i-1], c.X[i])
					}
				}
			}
		}
	}
}

// TestWriteWithoutParts leaves out of a run what a plot is made from.
func TestWriteWithoutParts(t *testing.T) {
	r := sample(t, "eight")
	for i := range r.Stacks {
		s := &r.Stacks[i]
		s.Layers, s.Timeline, s.CPUSeconds, s.Ratio, s.Spread, s.Rounds = nil, nil, 0, nil, nil, nil
		s.Loads.Curve, s.Saves = nil, run.Latency{}
	}
	page, text := pageOf(t, r, nil)
	for _, want := range []string{
		"There are no two stacks to compare.",
		"No load was measured, so there are no curves.",
		"No save was measured, so there are no curves.",
		"No timeline was recorded.",
		"No stack has counts of the loads of its layers.",
		"No stack has a cache that was used, so there is nothing to plot.",
		"No stack has both its stored bytes and its CPU time, so there is nothing to plot.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "data-plot=") || strings.Contains(page, `class="scatter"`) || strings.Contains(page, `class="picture"`) {
		t.Error("the page has places for plots that nothing is drawn in")
	}
	if _, text := pageOf(t, sample(t, "one"), nil); !strings.Contains(text, "Only stack 1 has a cache that was used: one point makes no plot.") {
		t.Error("the page of one stack does not say why there is no plot of caches")
	}
}

func TestWriteComparesWithAnOldRun(t *testing.T) {
	now, old := sample(t, "eight"), sample(t, "eight")
	for i := range old.Stacks {
		s := &old.Stacks[i]
		s.OpsPerSecond /= 2 // it is twice as fast now
		for j := range s.Rounds {
			s.Rounds[j].OpsPerSecond /= 2
		}
		s.Loads.P99 *= 1.02 // within the noise
		s.Saves.P99 *= 2
	}
	old.Stacks[2].Text = "memory"
	_, text := pageOf(t, now, &old)
	for want, times := range map[string]int{
		"<td>× 2</td>":     7, // one of the eight has no earlier run
		"<td>−50.0 %</td>": 7,
		"<td>~</td>":       4*7 + 2, // load p50 and p99, save p50, share stored; and two peaks
	} {
		if n := strings.Count(text, want); want != "<td>~</td>" && n != times {
			t.Errorf("%s stands %d times, want %d", want, n, times)
		} else if n < times {
			t.Errorf("%s stands %d times, want %d at least", want, n, times)
		}
	}
	if strings.Contains(text, "The earlier run had") {
		t.Error("the page says that the earlier run was another one's")
	}
	old.Workload.IDs++
	old.Machine.CPUs++
	if _, text := pageOf(t, now, &old); !strings.Contains(text, "The earlier run had another workload and another machine or version of Go:") {
		t.Error("the page does not say that the earlier run was another one's")
	}
	if _, text := pageOf(t, now, nil); strings.Contains(text, "<th scope=\"col\">change</th>") {
		t.Error("without an old run there are columns of changes")
	}
}

func TestChange(t *testing.T) {
	for _, c := range []struct {
		ratio, noise float64
		want         string
	}{
		{1, 0, "~"}, {1.04, .05, "~"}, {1 / 1.04, .05, "~"}, {1.06, .05, "+6.0 %"}, {.9, .05, "−10.0 %"},
		{2, .05, "× 2"}, {3.456, .05, "× 3.46"}, {.25, .05, "−75.0 %"}, {5, math.Inf(1), "~"},
	} {
		if got := change(c.ratio, c.noise); got != c.want {
			t.Errorf("change(%v, %v) = %q, want %q", c.ratio, c.noise, got, c.want)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrPermission }

func TestWriteReturnsTheErrorOfItsWriter(t *testing.T) {
	if err := Write(fullDisk{}, sample(t, "one"), nil); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Write gave %v", err)
	}
}

// TestFiguresStandInTables reads the page as one without scripts does.
func TestFiguresStandInTables(t *testing.T) {
	for _, name := range sampleNames {
		r := sample(t, name)
		_, text := pageOf(t, r, nil)
		for _, s := range r.Stacks {
			wants := []string{s.Text}
			wants = append(wants, s.Problems...)
			if s.OpsPerSecond > 0 {
				wants = append(wants, "<td>"+amount(s.OpsPerSecond)+"</td>", "<td>"+duration(s.Loads.P999)+"</td>", "<td>"+duration(s.Saves.Max)+"</td>", "<td>"+size(*s.StoredBytes)+"</td>")
			}
			for _, l := range s.Layers {
				wants = append(wants, "<td>"+count(l.Loads)+"</td>", "<td>"+size(l.SaveBytes)+"</td>")
			}
			if s.Requests != nil {
				wants = append(wants, "<td>"+dollars(s.Requests.Dollars)+"</td>", "<td>"+count(s.Requests.List)+"</td>")
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("the page of %s lacks %s", name, want)
				}
			}
		}
	}
}

// mostBytes is what a page of eight stacks may have: it is sent by mail.
const mostBytes = 256 << 10

func TestSizeOfThePage(t *testing.T) {
	page, _ := pageOf(t, sample(t, "eight"), nil)
	t.Logf("%d bytes, %d of them uPlot", len(page), len(uplotScript)+len(uplotStyle)+len(uplotLicense))
	if len(page) > mostBytes {
		t.Errorf("the page of eight stacks has %d bytes, want %d at most", len(page), mostBytes)
	}
}

// TestLicense tells that the licence of uPlot stands in the page and beside its files.
func TestLicense(t *testing.T) {
	license, err := os.ReadFile(filepath.Join("uplot", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	if _, text := pageOf(t, sample(t, "empty"), nil); !strings.Contains(text, string(license)) || !strings.Contains(text, "Leon Sorokin") {
		t.Error("the page lacks the licence of uPlot")
	}
}
