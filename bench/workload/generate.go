package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// generatedStates is how many states are generated where nothing else is said.
const generatedStates = 64

// Generate returns 64 states of 1 KiB to 4 MiB, about 32 MiB in all: JSON of orders,
// accounts and documents as applications keep them, which zstd makes four to five
// times smaller where they are large. Their sizes are spread evenly over the
// logarithm, so that there are as many between 1 and 2 KiB as between 2 and 4 MiB.
// The same seed gives the same states.
func Generate(seed uint64) [][]byte {
	return generate(seed, generatedStates, 1<<10, 4<<20)
}

// GenerateFor returns the states that a run with the options generates if it brings none
// of its own: like those of Generate, but for what the options say, and about 128 MiB in
// all at most. The error is of the options and matches store.ErrInvalid.
func GenerateFor(o Options) ([][]byte, error) {
	o, err := o.Resolve()
	if err != nil {
		return nil, fmt.Errorf("workload: %w", err)
	}
	return generated(o), nil
}

func generated(o Options) [][]byte {
	n := generatedStates
	for n > 8 && meanBytes(o)*float64(n) > 128<<20 {
		n /= 2
	}
	states := generate(o.Seed, n, o.MinBytes, o.MaxBytes)
	if o.Incompressible > 0 {
		// Blocks here and there, as keys, digests and pictures stand in states.
		for i, state := range states {
			const block = 256
			for at := 0; at < len(state); at += block {
				turn := mixed(o.Seed ^ uint64(i)<<32 ^ uint64(at))
				if float64(turn>>11)/(1<<53) < o.Incompressible {
					noise(state[at:min(at+block, len(state))], turn)
				}
			}
		}
	}
	return states
}

// meanBytes returns the mean of sizes that are spread evenly over the logarithm.
func meanBytes(o Options) float64 {
	if o.MinBytes == o.MaxBytes {
		return float64(o.MinBytes)
	}
	return float64(o.MaxBytes-o.MinBytes) / math.Log(float64(o.MaxBytes)/float64(o.MinBytes))
}

// generate returns n states of least to most bytes, least being 1 KiB or more: the
// fixed fields of every kind fit into that.
func generate(seed uint64, n, least, most int) [][]byte {
	order := rand.New(rand.NewPCG(seed, 0))
	states := make([][]byte, n)
	for i, slot := range order.Perm(n) {
		// One state in each of n equal slots: whatever the seed, the sizes cover the
		// range and their sum hardly moves.
		share := (float64(slot) + order.Float64()) / float64(n)
		size := int(float64(least) * math.Pow(float64(most)/float64(least), share))
		w := &writer{rand: rand.New(rand.NewPCG(seed, uint64(i)+1)), size: size}
		w.buf = make([]byte, 0, size)
		kinds := []func(*writer){orderState, account, document}
		kinds[i%len(kinds)](w)
		states[i] = w.buf
	}
	return states
}

// A writer writes one JSON document of an exact size.
type writer struct {
	rand *rand.Rand
	size int
	buf  []byte
	at   time.Time // of the latest event written
}

func orderState(w *writer) {
	w.printf(`{"type":"order","id":"order-%s","version":%d,"customer":`, w.hex(8), w.rand.IntN(5000))
	w.person()
	w.printf(`,"status":%q,"currency":%q,"created_at":%q,"lines":`, w.pick(orderStatuses), w.pick(currencies), w.begin())
	w.items(func(n int) {
		price := 199 + 100*w.rand.IntN(400)
		quantity := 1 + w.rand.IntN(5)
		w.printf(`{"line":%d,"id":"%s","sku":"%s-%05d","title":"%s %s","quantity":%d,"unit_price":%s,"total":%s,"tax_rate":"0.19","warehouse":%q,"status":%q,"updated_at":%q}`,
			n, w.hex(6), w.pick(skuPrefixes), w.rand.IntN(90000), w.pick(adjectives), w.pick(products), quantity, cents(price), cents(price*quantity),
			w.pick(warehouses), w.pick(orderStatuses), w.later())
	})
}

func account(w *writer) {
	w.printf(`{"type":"account","id":"account-%s","version":%d,"owner":`, w.hex(8), w.rand.IntN(5000))
	w.person()
	balance := 100_000 + w.rand.IntN(10_000_000)
	w.printf(`,"currency":%q,"opened_at":%q,"transactions":`, w.pick(currencies), w.begin())
	w.items(func(int) {
		amount := w.rand.IntN(50_000) - 24_000
		balance += amount
		w.printf(`{"id":"%s","booked_at":%q,"amount":%s,"balance":%s,"counterparty":{"name":"%s %s","bank":%q},"category":%q,"reference":"invoice %06d","reconciled":%t}`,
			w.hex(7), w.later(), cents(amount), cents(balance), w.pick(firstNames), w.pick(lastNames), w.pick(banks),
			w.pick(categories), w.rand.IntN(1_000_000), w.rand.IntN(10) > 0)
	})
}

func document(w *writer) {
	w.printf(`{"type":"document","id":"document-%s","version":%d,"owner":`, w.hex(8), w.rand.IntN(5000))
	w.person()
	w.printf(`,"title":"%s %s","created_at":%q,"blocks":`, w.pick(adjectives), w.pick(products), w.begin())
	w.items(func(n int) {
		w.printf(`{"block":%d,"kind":%q,"author":"%s %s","revision":%d,"edited_at":%q,"text":"`,
			n, w.pick(blockKinds), w.pick(firstNames), w.pick(lastNames), w.rand.IntN(40), w.later())
		w.words(4 + w.rand.IntN(24))
		w.printf(`"}`)
	})
}

// items writes an array of as many items as fit, and fills what is left of the size
// with a note, which ends the document.
func (w *writer) items(item func(n int)) {
	const open, end = `],"note":"`, `"}`
	w.printf("[")
	for n := 1; ; n++ {
		before := len(w.buf)
		if n > 1 {
			w.printf(",")
		}
		item(n)
		if len(w.buf)+len(open)+len(end) > w.size {
			w.buf = w.buf[:before]
			break
		}
	}
	w.printf(open)
	for len(w.buf)+len(end) < w.size {
		w.words(8)
		w.printf(" ")
	}
	w.buf = append(w.buf[:w.size-len(end)], end...)
}

func (w *writer) person() {
	first, last := w.pick(firstNames), w.pick(lastNames)
	w.printf(`{"id":"customer-%06d","name":"%s %s","email":"%s.%s@example.com","address":{"street":"%d %s Street","city":%q,"postcode":"%05d","country":%q},"verified":%t}`,
		w.rand.IntN(1_000_000), first, last, first, last, 1+w.rand.IntN(200), w.pick(lastNames), w.pick(cities), w.rand.IntN(100_000), w.pick(countries), w.rand.IntN(2) == 0)
}

func (w *writer) words(n int) {
	for i := range n {
		if i > 0 {
			w.buf = append(w.buf, ' ')
		}
		// The product of two even numbers prefers the front of the list, as
		// language does.
		w.buf = append(w.buf, vocabulary[w.rand.IntN(len(vocabulary))*w.rand.IntN(len(vocabulary))/len(vocabulary)]...)
	}
}

func (w *writer) printf(format string, args ...any) {
	w.buf = fmt.Appendf(w.buf, format, args...)
}

func (w *writer) pick(words []string) string { return words[w.rand.IntN(len(words))] }

// hex returns n random bytes in hexadecimal digits.
func (w *writer) hex(n int) string {
	return fmt.Sprintf("%016x", w.rand.Uint64())[:2*n]
}

// begin returns the time of a first event, later that of one some time after the
// last.
func (w *writer) begin() string {
	w.at = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(w.rand.IntN(500*24*3600)) * time.Second)
	return w.at.Format(time.RFC3339)
}

func (w *writer) later() string {
	w.at = w.at.Add(time.Duration(w.rand.IntN(3600)) * time.Second)
	return w.at.Format(time.RFC3339)
}

// cents returns an amount of money as a JSON number.
func cents(n int) string { return strconv.FormatFloat(float64(n)/100, 'f', 2, 64) }
