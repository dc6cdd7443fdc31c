package report

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// A browser is a headless Chromium, driven by the DevTools protocol over a pipe: each
// message is JSON and ends in a byte 0. See https://chromedevtools.github.io/devtools-protocol/.
type browser struct {
	t  *testing.T
	in io.Writer

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	loaded  chan struct{} // a page's load event
	said    []string      // what the console, the security policy and the network told
	ended   error         // why the pipe ended, once it did
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	Session string `json:"sessionId,omitempty"`
}

// answerTimeout is how long Chromium may take for an answer on a machine that is busy.
const answerTimeout = 60 * time.Second

// startBrowser starts Chromium, which ends with the test, or skips the test where there is
// none.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := os.Getenv("SNAPSTACK_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name) // "" where there is none
		}
	}
	if path == "" {
		t.Skip("no Chromium: install one, or name it in SNAPSTACK_CHROMIUM")
	}
	if runtime.GOOS == "windows" {
		t.Skip("Go passes no pipes to a process on Windows")
	}
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as it expects
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Its ends are the process's now.
	for _, f := range []*os.File{theirIn, theirOut} {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b := &browser{t: t, in: ourOut, waiting: make(map[int]chan message), loaded: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(ourIn)
	}()
	t.Cleanup(func() {
		// Not by call: where the browser has gone already, it is Wait that tells why.
		_, _ = io.WriteString(ourOut, `{"id":1000000000,"method":"Browser.close"}`+"\x00")
		<-done
		if err := errors.Join(cmd.Wait(), ourOut.Close(), ourIn.Close()); err != nil {
			t.Errorf("Chromium: %v\n%s", err, stderr.String())
		}
	})
	return b
}

// read hands out what the browser says until the pipe ends.
func (b *browser) read(from io.Reader) {
	reader := bufio.NewReader(from)
	for {
		text, err := reader.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m)
		}
		b.mu.Lock()
		if err != nil {
			b.ended = err
			for _, waiting := range b.waiting {
				close(waiting)
			}
			b.waiting = nil
			b.mu.Unlock()
			return
		}
		if waiting := b.waiting[m.ID]; m.ID != 0 && waiting != nil {
			waiting <- m // has room for one
			delete(b.waiting, m.ID)
		} else if m.ID == 0 {
			b.event(m)
		}
		b.mu.Unlock()
	}
}

// event notes what a page must not do. The caller holds mu.
func (b *browser) event(m message) {
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case b.loaded <- struct{}{}:
		default:
		}
	case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
		b.said = append(b.said, m.Method+" "+string(m.Params))
	case "Network.requestWillBeSent":
		var p struct {
			Request struct {
				URL string `json:"url"`
			} `json:"request"`
		}
		if err := json.Unmarshal(m.Params, &p); err != nil || !strings.HasPrefix(p.Request.URL, "file:") && !strings.HasPrefix(p.Request.URL, "data:") {
			b.said = append(b.said, m.Method+" "+string(m.Params))
		}
	}
}

// call sends a command and reads its result into result, which may be nil.
func (b *browser) call(session, method string, params, result any) {
	b.t.Helper()
	encoded, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	if params == nil {
		encoded = []byte("{}")
	}
	b.mu.Lock()
	if b.waiting == nil {
		b.mu.Unlock()
		b.t.Fatalf("%s: the browser has gone: %v", method, b.ended)
	}
	b.last++
	answer := make(chan message, 1)
	b.waiting[b.last] = answer
	text, err := json.Marshal(message{ID: b.last, Method: method, Params: encoded, Session: session})
	b.mu.Unlock()
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			b.t.Fatalf("%s: the browser has gone", method)
		case m.Error != nil:
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		case result != nil:
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(answerTimeout):
		b.t.Fatalf("%s: no answer in %v", method, answerTimeout)
	}
}

// A tab is a page in the browser.
type tab struct {
	*browser
	session string
}

func (b *browser) open() tab {
	b.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		ID string `json:"sessionId"`
	}
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	p := tab{b, attached.ID}
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(p.session, domain+".enable", nil, nil)
	}
	return p
}

// scheme sets what prefers-color-scheme tells, "light" or "dark".
func (p tab) scheme(name string) {
	p.t.Helper()
	p.call(p.session, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": name}}}, nil)
}

func (p tab) width(pixels int) {
	p.t.Helper()
	p.call(p.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 500}, nil)
}

func (p tab) navigate(url string) {
	p.t.Helper()
	var result struct {
		Error string `json:"errorText"`
	}
	p.call(p.session, "Page.navigate", map[string]any{"url": url}, &result)
	if result.Error != "" {
		p.t.Fatalf("%s: %s", url, result.Error)
	}
	select {
	case <-p.loaded:
	case <-time.After(answerTimeout):
		p.t.Fatalf("%s did not load in %v", url, answerTimeout)
	}
}

// evaluate returns what an expression of JavaScript gives, after the page has been drawn.
func evaluate[T any](p tab, expression string) T {
	p.t.Helper()
	var reply struct {
		Result struct {
			Value T `json:"value"`
		} `json:"result"`
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	p.call(p.session, "Runtime.evaluate", map[string]any{
		"expression":   fmt.Sprintf("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => (%s))", expression),
		"awaitPromise": true, "returnByValue": true,
	}, &reply)
	if reply.Exception != nil {
		p.t.Fatalf("%s: %s", expression, reply.Exception)
	}
	return reply.Result.Value
}

// screenshot writes the whole page as a PNG to path.
func (p tab) screenshot(path string) {
	p.t.Helper()
	var shot struct {
		Data string `json:"data"`
	}
	p.call(p.session, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	picture, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(path, picture, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// complaints returns what the page must not have said or done since the last call.
func (p tab) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := p.said
	p.said = nil
	return said
}
