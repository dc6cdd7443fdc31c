package s3_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy passes the connections of a client on to a server, and disturbs them.
type proxy struct {
	listener net.Listener
	target   string // of the server, as host:port

	mu    sync.Mutex
	now   disturbance
	hits  int               // how often now did something
	over  chan struct{}     // closed when now ends
	conns map[net.Conn]bool // both sides of each connection; nil once closed
	wg    sync.WaitGroup
}

// disturbance is what a proxy does to its connections. The zero value is nothing.
type disturbance struct {
	name    string
	refuse  bool          // close connections, and new ones at once, as where no server listens
	request int           // cut a request behind this many bytes of it, if more than 0
	answer  int           // the same of an answer
	reset   bool          // cut with a reset rather than an end
	stall   bool          // rather than cut, pass nothing on until the disturbance is over
	latency time.Duration // hold back each piece of an answer for so long
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, over: make(chan struct{}), conns: make(map[net.Conn]bool)}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

// disturb begins a disturbance, also of the connections that there are, and says how
// often the one before did something.
func (p *proxy) disturb(d disturbance) (hits int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hits, p.hits = p.hits, 0
	close(p.over)
	p.now, p.over = d, make(chan struct{})
	if d.refuse {
		for c := range p.conns {
			c.Close() // an error means that it has gone already
		}
	}
	return hits
}

// disturbed says how often the present disturbance has done something.
func (p *proxy) disturbed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

func (p *proxy) close() {
	p.listener.Close() // ends accept; nothing to do about an error
	p.disturb(disturbance{})
	p.mu.Lock()
	for c := range p.conns {
		c.Close() // likewise ends its copying
	}
	p.conns = nil
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close() // errors of closing are of no use here: both ends may have gone
	p.mu.Lock()
	refuse, target := p.now.refuse, p.target
	if refuse {
		p.hits++
	}
	p.mu.Unlock()
	if refuse {
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		return // the server is down
	}
	defer server.Close()
	p.mu.Lock()
	if p.conns == nil {
		p.mu.Unlock()
		return
	}
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client, func(d disturbance) int { return d.request }, false) })
	both.Go(func() { p.copy(client, server, func(d disturbance) int { return d.answer }, true) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy passes on what comes from one side until either ends, and then ends both. A
// disturbance cuts behind the bytes that at gives, counted from the first piece that
// it sees.
func (p *proxy) copy(to, from net.Conn, at func(disturbance) int, answer bool) {
	defer to.Close()
	defer from.Close()
	var (
		piece  = make([]byte, 16<<10)
		passed int
		last   <-chan struct{} // the disturbance that passed counts for
	)
	for {
		n, err := from.Read(piece)
		p.mu.Lock()
		d, over := p.now, p.over
		if last != over {
			passed, last = 0, over
		}
		cut := at(d) > 0 && passed+n >= at(d)
		if cut || answer && d.latency > 0 {
			p.hits++
		}
		p.mu.Unlock()
		if answer && d.latency > 0 {
			select {
			case <-time.After(d.latency):
			case <-over:
			}
		}
		if cut && d.stall {
			<-over
			cut = false
		}
		if cut {
			to.Write(piece[:min(n, at(d)-passed)]) // an error means that it has gone already
			if d.reset {
				for _, c := range []net.Conn{to, from} {
					c.(*net.TCPConn).SetLinger(0) // an error likewise
				}
			}
			return
		}
		passed += n
		if _, writeErr := to.Write(piece[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// TestProxyDisturbs checks the instrument of the tests of disturbances.
func TestProxyDisturbs(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				io.Copy(c, c) // ends with the connection
			})
		}
	})
	defer wg.Wait()
	defer echo.Close()
	p := newProxy(t, echo.Addr().String())
	defer p.close()
	ask := func() (string, error) {
		c, err := net.Dial("tcp", p.listener.Addr().String())
		if err != nil {
			return "", err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return "", err
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			return "", err
		}
		b := make([]byte, 5)
		n, err := io.ReadFull(c, b)
		return string(b[:n]), err
	}
	if got, err := ask(); got != "hello" || err != nil {
		t.Errorf("undisturbed: %q, %v", got, err)
	}
	p.disturb(disturbance{answer: 3})
	if got, err := ask(); got != "hel" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %q, %v", got, err)
	}
	if hits := p.disturb(disturbance{refuse: true}); hits != 1 {
		t.Errorf("cut off %d times; want once", hits)
	}
	if got, err := ask(); got != "" || err == nil {
		t.Errorf("refused: %q, %v", got, err)
	}
}
