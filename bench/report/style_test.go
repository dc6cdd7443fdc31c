package report

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"
)

// TestContrast holds the colours to what WCAG 2.2 asks for: 4.5 for text, 3 for lines and
// marks, against what they stand on, in light, dark and print.
func TestContrast(t *testing.T) {
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(pageStyle, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d sets of colours", len(blocks))
	}
	for i, name := range []string{"light", "dark", "print"} {
		color := make(map[string]float64)
		for _, found := range regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]+);`).FindAllStringSubmatch(blocks[i][1], -1) {
			color[found[1]] = luminance(t, found[2])
		}
		want := map[string]float64{"ink": 4.5, "soft": 4.5, "accent": 4.5, "alarm": 4.5}
		for c := range colors {
			want[fmt.Sprint("c", c)] = 3
		}
		for foreground, least := range want {
			for _, background := range []string{"paper", "card"} {
				a, found := color[foreground]
				b, found2 := color[background]
				if contrast := (max(a, b) + .05) / (min(a, b) + .05); !found || !found2 || contrast < least {
					t.Errorf("%s: %s on %s has a contrast of %.2f, want %v", name, foreground, background, contrast, least)
				}
			}
		}
		if a, b := color["alarm"], color["alarm-paper"]; (max(a, b)+.05)/(min(a, b)+.05) < 4.5 {
			t.Errorf("%s: warnings have too little contrast", name)
		}
	}
}

// luminance returns the relative luminance of a colour as #rgb or #rrggbb.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	digits := hex[1:]
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
