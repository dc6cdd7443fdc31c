// Package report writes a run of bench as one HTML page that needs nothing else: no
// network, no file beside it. Its content security policy allows the page's own styles
// and scripts, by their hashes, and nothing more.
//
// Everything that the page says also stands in tables of plain HTML, so that it can be
// read without scripts and by a screen reader.
//
// The curves are drawn by uPlot (https://github.com/leeoniya/uPlot, version 1.6.32, MIT,
// its files and licence in the folder uplot): it draws thousands of points on logarithmic
// scales in 50 KB, needs nothing else, and takes no style attributes, which the policy
// forbids. The other plots are SVG, drawn here. dustin/go-humanize writes sizes and large
// numbers.
package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/snapstack/snapstack/bench/run"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed plots.js
	pageScript string

	//go:embed uplot/uPlot.min.css
	uplotStyle string
	//go:embed uplot/uPlot.iife.min.js
	uplotScript string
	//go:embed uplot/LICENSE
	uplotLicense string
)

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// Write writes the page of r to w. With an old run, an earlier one of the same stacks, its
// tables also show what changed since; old may be nil. The texts in a run, as those of
// stacks and problems, may hold anything. Numbers that are none (NaN and infinities) are
// left out. The error is that of w.
func Write(w io.Writer, r run.Run, old *run.Run) error {
	var b bytes.Buffer // a page that can't be made must not be half written
	page, err := newPage(r, old)
	if err == nil {
		err = pageTemplate.Execute(&b, page)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// policy allows the styles and scripts of the page by their hashes, and an empty icon, for
// which browsers would ask the server that the page may lie on.
func policy() string {
	return fmt.Sprintf("default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src %s %s; script-src %s %s",
		hash(uplotStyle), hash(pageStyle), hash(uplotScript), hash(pageScript))
}

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
