package report

import (
	"fmt"
	"math"
	"strconv"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/bench/ratio"
)

// none stands in a table where there is no value.
const none = "–"

// count returns a whole number, as "12,300".
func count(n int64) string { return humanize.Comma(n) }

// amount returns a number with three digits, or all of its whole ones where it has more.
func amount(x float64) string {
	switch {
	case !finite(x):
		return none
	case math.Abs(x) >= 1e15: // soon more than an int64 holds
		return strconv.FormatFloat(x, 'g', 3, 64)
	case math.Abs(x) >= 99.95:
		return humanize.Comma(int64(math.Round(x)))
	default:
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
}

// times returns a number with two digits behind the point.
func times(x float64) string {
	if !finite(x) {
		return none
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// spread returns that of the rounds, rounded up, as in the table of the terminal.
func spread(r ratio.Ratio) string {
	return strconv.FormatFloat(math.Ceil(100*r.Spread), 'f', 0, 64) + " %"
}

// share returns part of all, as "12.3 %".
func share(part, all float64) string {
	if all == 0 || !finite(part/all) {
		return none
	}
	percent := 100 * part / all
	if percent >= 99.95 || percent == 0 {
		return strconv.FormatFloat(percent, 'f', 0, 64) + " %"
	}
	return strconv.FormatFloat(percent, 'f', 1, 64) + " %"
}

// plain returns a share for prose, as "90 %".
func plain(share float64) string { return amount(100*share) + " %" }

// duration returns seconds with three digits, as "12.3 ms".
func duration(seconds float64) string {
	if !finite(seconds) || seconds < 0 {
		return none
	}
	if seconds == 0 {
		return "0 s"
	}
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if seconds >= unit.seconds*0.9995 {
			return amount(seconds/unit.seconds) + " " + unit.name
		}
	}
	return amount(seconds*1e9) + " ns"
}

// size returns bytes, as "1.2 MiB".
func size(bytes int64) string { return humanize.IBytes(uint64(max(0, bytes))) }

// optional returns what show makes of a value that may be absent.
func optional(n *int64, show func(int64) string) string {
	if n == nil {
		return none
	}
	return show(*n)
}

// dollars returns a price.
func dollars(x float64) string {
	if !finite(x) {
		return none
	}
	return fmt.Sprintf("$%.3g", x)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
