package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// word matches one word of a command line, of which a part may be in single quotes.
var word = regexp.MustCompile(`(?:[^\s']|'[^']*')+`)

func TestCommandsExist(t *testing.T) {
	help := make(helps)
	checked := 0
	for _, p := range pages(t) {
		lines := slices.Clone(p.spans)
		for _, b := range p.blocks {
			if b.language == "sh" {
				lines = append(lines, strings.Split(strings.ReplaceAll(b.text, "\\\n", " "), "\n")...)
			}
		}
		for _, line := range lines {
			if words := goCommand(line); words != nil {
				checked++
				if err := help.check(words); err != nil {
					t.Errorf("%s: %s: %v", p.path, line, err)
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("found %d commands; there are more", checked)
	}
}

func TestBrokenCommandsAreNoticed(t *testing.T) {
	help := make(helps)
	for line, broken := range map[string]bool{
		"go run ./bench -states DIR  # your own":            false,
		"go run ./bench -state DIR":                         true,
		"go run ./cmd/snapstack copy -resume 'memory' 'x'":  false,
		"go run ./cmd/snapstack copy -again 'memory' 'x'":   true,
		"go run ./cmd/snapstack move 'memory' 'memory'":     true,
		"go run ./cmd/snapstack put -time=T 'memory' a 1 -": false,
		"go run ./cmd/snap ls memory":                       true,
		"go test ./nothing/...":                             true,
		"SNAPSTACK_SOAK=1 go test -run TestCrash ./sqlite":  false,
	} {
		if err := help.check(goCommand(line)); (err != nil) != broken {
			t.Errorf("%s: %v; want an error: %v", line, err, broken)
		}
	}
}

// goCommand returns the words of a command of go on this module, or nil where the line is
// none.
func goCommand(line string) []string {
	line, _, _ = strings.Cut(line, " # ")
	words := word.FindAllString(line, -1)
	for len(words) > 0 && strings.Contains(words[0], "=") { // the environment
		words = words[1:]
	}
	if len(words) < 3 || words[0] != "go" || !slices.Contains([]string{"run", "test", "doc"}, words[1]) {
		return nil
	}
	return words
}

// helps are what commands of the module say of themselves, by folder.
type helps map[string]string

// check returns an error unless the folders, the flags and the command's own command are
// there.
func (h helps) check(words []string) error {
	for _, w := range words {
		folder := strings.TrimSuffix(w, "/...")
		if !strings.HasPrefix(folder, "./") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, folder)); err != nil {
			return err
		}
	}
	if words[1] != "run" || len(words) == 3 {
		return nil
	}
	folder, args := words[2], words[3:]
	help, err := h.of(folder)
	if err != nil {
		return err
	}
	if strings.HasSuffix(folder, "/snapstack") && !regexp.MustCompile(`(?m)^  `+regexp.QuoteMeta(args[0])+` `).MatchString(help) {
		return fmt.Errorf("there is no command %q", args[0])
	}
	for _, arg := range args {
		flag, _, _ := strings.Cut(arg, "=")
		if len(flag) > 1 && flag[0] == '-' && flag != "-help" && !regexp.MustCompile(`(^|[\s\[,])`+regexp.QuoteMeta(flag)+`\b`).MatchString(help) {
			return fmt.Errorf("there is no flag %s", flag)
		}
	}
	return nil
}

// of returns what the command in the folder says of itself.
func (h helps) of(folder string) (string, error) {
	if help, ok := h[folder]; ok {
		return help, nil
	}
	command := exec.Command("go", "run", folder, "-help")
	command.Dir = root
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go run %s -help: %w\n%s", folder, err, out)
	}
	h[folder] = string(out)
	return string(out), nil
}
