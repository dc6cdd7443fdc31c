package report

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// countColors returns, for each plot on the page, its name, and in how many columns of
// pixels each of its curves is to be seen in its colour while the others are hidden by
// their buttons.
const countColors = `(async () => {
	const drawn = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
	const data = JSON.parse(document.getElementById("curves").textContent);
	const plots = [];
	for (const box of document.querySelectorAll("[data-plot]")) {
		const canvas = box.querySelector("canvas");
		const columns = curve => {
			const copy = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height}).getContext("2d", {willReadFrequently: true});
			copy.drawImage(canvas, 0, 0);
			const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
			const hex = getComputedStyle(document.documentElement).getPropertyValue("--c" + data.styles[curve.stack].Color).trim();
			const [r, g, b] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
			const found = new Set();
			for (let i = 0; i < pixels.length; i += 4) {
				if (pixels[i+3] > 250 && Math.abs(pixels[i] - r) + Math.abs(pixels[i+1] - g) + Math.abs(pixels[i+2] - b) < 12) {
					found.add(i / 4 % canvas.width);
				}
			}
			return found.size;
		};
		const buttons = [...box.nextElementSibling.querySelectorAll("button")];
		buttons.forEach(button => button.click());
		await drawn();
		const counts = [];
		for (const [i, curve] of data[box.dataset.plot].entries()) {
			const hidden = columns(curve);
			buttons[i].click();
			await drawn();
			counts.push(hidden > 0 ? -hidden : columns(curve));
			buttons[i].click();
		}
		buttons.forEach(button => button.click());
		await drawn();
		plots.push({plot: box.dataset.plot, counts});
	}
	return plots;
})()`

// countMarks returns how many marks of the SVG plots are to be seen.
const countMarks = `Object.fromEntries([[".ratios .dot"], [".scatter .dot"], [".picture .exit"]].map(([selector]) => [selector,
	[...document.querySelectorAll(selector)].filter(mark => {
		const box = mark.getBoundingClientRect(), fill = getComputedStyle(mark).fill;
		return box.width > 0 && box.height > 0 && box.left >= 0 && box.right <= innerWidth && fill !== "none" && fill !== "rgb(0, 0, 0)";
	}).length]))`

// leastColumns is in how many columns of pixels a curve is to be seen at least: with gaps
// for its dashes; its markers alone take fewer.
const leastColumns = 55

// TestInChromium opens each sample in a browser: in light and dark, on a desk and on a
// phone. Screenshots are kept with go test -artifacts, or in the folder that
// SNAPSTACK_SCREENSHOTS names.
func TestInChromium(t *testing.T) {
	b := startBrowser(t)
	folder := os.Getenv("SNAPSTACK_SCREENSHOTS")
	if folder == "" {
		folder = t.ArtifactDir()
	}
	for _, c := range []struct {
		sample  string
		compare bool
		plots   int // of curves
		marks   map[string]int
	}{
		{sample: "one", plots: 3, marks: map[string]int{".ratios .dot": 0, ".scatter .dot": 0, ".picture .exit": 3}},
		{sample: "eight", compare: true, plots: 3, marks: map[string]int{".ratios .dot": 8, ".scatter .dot": 4 + 8, ".picture .exit": 16}},
		{sample: "sizes", plots: 3, marks: map[string]int{".ratios .dot": 6, ".scatter .dot": 6 + 6, ".picture .exit": 18}},
		{sample: "levels", plots: 3, marks: map[string]int{".ratios .dot": 5, ".scatter .dot": 5, ".picture .exit": 5}},
		{sample: "objectstore", plots: 3, marks: map[string]int{".ratios .dot": 3, ".scatter .dot": 2 + 3, ".picture .exit": 1 + 3 + 3}},
		{sample: "failed", plots: 3, marks: map[string]int{".ratios .dot": 2, ".scatter .dot": 2, ".picture .exit": 1 + 1}},
		{sample: "interrupted", plots: 3, marks: map[string]int{".ratios .dot": 2, ".scatter .dot": 2, ".picture .exit": 4}},
		{sample: "empty", marks: map[string]int{".ratios .dot": 0, ".scatter .dot": 0, ".picture .exit": 0}},
	} {
		t.Run(c.sample, func(t *testing.T) {
			b.t = t
			var page bytes.Buffer
			r := sample(t, c.sample)
			var err error
			if c.compare {
				old := sample(t, "interrupted")
				err = Write(&page, r, &old)
			} else {
				err = Write(&page, r, nil)
			}
			path := filepath.Join(t.TempDir(), c.sample+".html")
			if err == nil {
				err = os.WriteFile(path, page.Bytes(), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			p := b.open()
			for _, view := range []struct {
				name, scheme string
				width        int
			}{{"light", "light", 1280}, {"phone", "light", 390}, {"dark", "dark", 1280}} {
				p.scheme(view.scheme)
				p.width(view.width)
				p.navigate((&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String())
				check(t, p, view.name, c.plots, c.marks)
				p.screenshot(filepath.Join(folder, c.sample+"-"+view.name+".png"))
			}
			// The plots follow the scheme and the width while the page is open.
			p.width(1000)
			if missed := evaluate[int](p, `Math.max(0, ...[...document.querySelectorAll("[data-plot]")].map(box => Math.abs(box.querySelector("canvas").clientWidth - box.clientWidth)))`); missed > 1 {
				t.Errorf("in a window made narrower a plot misses the width of its place by %d pixels", missed)
			}
			p.scheme("light")
			check(t, p, "from dark to light and narrower", c.plots, c.marks)
			if c.plots > 0 {
				hideFirst(t, p)
			}
			withoutScripts(t, p, c.plots)
			p.call(p.session, "Page.close", nil, nil)
		})
	}
	b.t = t // the cleanup is the whole test's
}

func check(t *testing.T, p tab, view string, plots int, marks map[string]int) {
	t.Helper()
	type plot struct {
		Plot   string `json:"plot"`
		Counts []int  `json:"counts"`
	}
	drawn := evaluate[[]plot](p, countColors)
	if len(drawn) != plots {
		t.Errorf("%s: %d plots have curves, want %d", view, len(drawn), plots)
	}
	for _, one := range drawn {
		for i, n := range one.Counts {
			if n < leastColumns {
				t.Errorf("%s: the plot of %s shows in %d columns of pixels its curve %d", view, one.Plot, n, i)
			}
		}
	}
	for selector, n := range evaluate[map[string]int](p, countMarks) {
		if n != marks[selector] {
			t.Errorf("%s: %d marks %q are to be seen, want %d", view, n, selector, marks[selector])
		}
	}
	if over := evaluate[int](p, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		t.Errorf("%s: the page is %d pixels wider than the window", view, over)
	}
	// The axis of the ratios stands on the same scale as their rows.
	if off := evaluate[float64](p, `Math.max(0, ...[...document.querySelectorAll(".ratios .one")].map(line => {
		const tick = [...document.querySelectorAll(".ratio.axis text")].find(text => text.textContent === "1").getBoundingClientRect();
		return Math.abs(line.getBoundingClientRect().left - (tick.left + tick.right) / 2);
	}))`); off > 2 {
		t.Errorf("%s: the axis of the ratios is %v pixels off", view, off)
	}
	for _, complaint := range p.complaints() {
		t.Errorf("%s: %s", view, complaint)
	}
}

// hideFirst presses the button of the first curve by the keyboard.
func hideFirst(t *testing.T, p tab) {
	t.Helper()
	evaluate[bool](p, `(document.querySelector(".legend button").focus(), true)`)
	p.call(p.session, "Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": " ", "code": "Space", "text": " ", "windowsVirtualKeyCode": 32}, nil)
	p.call(p.session, "Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": " ", "code": "Space", "windowsVirtualKeyCode": 32}, nil)
	if pressed := evaluate[string](p, `document.querySelector(".legend button").getAttribute("aria-pressed")`); pressed != "false" {
		t.Errorf("after pressing the button its aria-pressed is %q", pressed)
	}
}

// withoutScripts loads the page once more with scripts turned off: in place of each plot a
// sentence says where the numbers are.
func withoutScripts(t *testing.T, p tab, plots int) {
	t.Helper()
	location := evaluate[string](p, "location.href")
	p.call(p.session, "Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	p.navigate(location)
	var snapshot struct {
		Strings []string `json:"strings"`
	}
	p.call(p.session, "DOMSnapshot.captureSnapshot", map[string]any{"computedStyles": []string{}}, &snapshot)
	const sentence = "The curves need scripts; the table has the numbers."
	if told := slices.Contains(snapshot.Strings, sentence); told != (plots > 0) {
		t.Errorf("without scripts %q: %v, want %v", sentence, told, plots > 0)
	}
	p.call(p.session, "Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	for _, complaint := range p.complaints() {
		t.Errorf("without scripts: %s", complaint)
	}
}
