package stack

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/snapstack/snapstack/store"
)

// special are the characters that a value must be quoted for.
const special = `,()|"`

// A parser reads the text form into layers, knowing nothing of their meaning.
type parser struct {
	text string
	at   int // bytes read
}

func (p *parser) spec() (Spec, error) {
	var spec Spec
	for {
		layer, err := p.layer()
		if err != nil {
			return nil, err
		}
		spec = append(spec, layer)
		if p.end() {
			return spec, nil
		}
		if !p.take('|') {
			return nil, p.unexpected(`"|" and the next layer, or the end`)
		}
	}
}

func (p *parser) layer() (Layer, error) {
	name := p.name()
	if name == "" {
		return Layer{}, p.unexpected("the name of a layer")
	}
	layer := Layer{Name: name}
	if !p.take('(') {
		return layer, nil
	}
	if p.take(')') {
		return layer, nil
	}
	for {
		option, err := p.option()
		if err != nil {
			return Layer{}, err
		}
		layer.Options = append(layer.Options, option)
		if p.take(')') {
			return layer, nil
		}
		if !p.take(',') {
			return Layer{}, p.unexpected(`"," and the next option, or ")"`)
		}
	}
}

func (p *parser) option() (Option, error) {
	name, quoted, err := p.quoted()
	if err != nil {
		return Option{}, err
	}
	if !quoted {
		if name = p.name(); name == "" {
			return Option{}, p.unexpected("the name of an option")
		}
	}
	if !p.take('=') {
		return Option{}, p.unexpected(fmt.Sprintf(`"=" and a value for %q`, name))
	}
	if value, quoted, err := p.quoted(); quoted || err != nil {
		return Option{Name: name, Value: value}, err
	}
	length := strings.IndexAny(p.text[p.at:], special)
	if length < 0 {
		length = len(p.text) - p.at
	}
	value := strings.TrimSpace(p.text[p.at : p.at+length])
	if value == "" {
		return Option{}, p.unexpected(fmt.Sprintf(`a value for %q (an empty one is written "")`, name))
	}
	p.at += length
	return Option{Name: name, Value: value}, nil
}

// quoted reads a Go string in double quotes, if one comes next.
func (p *parser) quoted() (value string, found bool, err error) {
	p.space()
	if !strings.HasPrefix(p.text[p.at:], `"`) {
		return "", false, nil
	}
	prefix, err := strconv.QuotedPrefix(p.text[p.at:])
	if err == nil {
		value, err = strconv.Unquote(prefix)
	}
	if err != nil {
		return "", false, p.unexpected("a complete Go string in double quotes")
	}
	p.at += len(prefix)
	return value, true, nil
}

// name reads letters, digits, "_" and "-", which may be none.
func (p *parser) name() string {
	p.space()
	rest := p.text[p.at:]
	length := strings.IndexFunc(rest, func(r rune) bool { return !isNameRune(r) })
	if length < 0 {
		length = len(rest)
	}
	p.at += length
	return rest[:length]
}

// take reads c if it comes next.
func (p *parser) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) end() bool {
	p.space()
	return p.at == len(p.text)
}

func (p *parser) space() {
	p.at = len(p.text) - len(strings.TrimLeft(p.text[p.at:], " \t\r\n"))
}

// unexpected says what stands where something else was wanted.
func (p *parser) unexpected(wanted string) error {
	p.space()
	found := "the end"
	if p.at < len(p.text) {
		r, _ := utf8.DecodeRuneInString(p.text[p.at:])
		found = strconv.Quote(string(r))
	}
	return fmt.Errorf("%w: at byte %d: expected %s, found %s", store.ErrInvalid, p.at, wanted, found)
}

func isNameRune(r rune) bool {
	return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// quoteName returns the name of an option as it must stand in a text.
func quoteName(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// quote returns value as it must stand in a text.
func quote(value string) string {
	if value == "" || strings.ContainsAny(value, special) || strings.TrimSpace(value) != value || strconv.Quote(value) != `"`+value+`"` {
		return strconv.Quote(value)
	}
	return value
}
