package advice

import (
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// list joins words, as "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// names returns "stack 2", or "stacks 2, 3 and 7".
func names(subjects []subject) string {
	if len(subjects) == 1 {
		return subjects[0].name()
	}
	numbers := make([]string, len(subjects))
	for i, s := range subjects {
		numbers[i] = strconv.Itoa(s.number)
	}
	return "stacks " + list(numbers)
}

// sentence returns the text with a capital letter.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// digits returns x with two digits, or all of its whole ones where it has more.
func digits(x float64) string {
	if math.Abs(x) >= 9.95 {
		return count(x)
	}
	return strconv.FormatFloat(x, 'g', 2, 64)
}

// count returns a whole number, as "12,300".
func count(x float64) string {
	if math.Abs(x) >= 1e15 { // no count of anything here, and soon more than an int64 holds
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	return humanize.Comma(int64(math.Round(x)))
}

// percent returns a share, as "12 %".
func percent(share float64) string {
	percent := 100 * share
	switch {
	case share > 0 && percent < 0.95:
		return strconv.FormatFloat(percent, 'g', 1, 64) + " %"
	case share < 1 && percent > 99:
		return strconv.FormatFloat(math.Floor(10*percent)/10, 'f', 1, 64) + " %" // not "100 %" of what isn't all
	}
	return count(percent) + " %"
}

// duration returns seconds with three digits, as "12.3 ms".
func duration(seconds float64) string {
	if !finite(seconds) || seconds < 0 {
		return "an unknown time"
	}
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if seconds >= unit.seconds*0.9995 {
			return digits3(seconds/unit.seconds) + " " + unit.name
		}
	}
	return digits3(seconds*1e9) + " ns"
}

// digits3 returns x with three digits, or all of its whole ones where it has more.
func digits3(x float64) string {
	if x >= 99.95 {
		return count(x)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// size returns bytes, as "1.2 MiB".
func size(bytes float64) string { return humanize.IBytes(uint64(max(0, bytes))) }
