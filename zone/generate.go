package zone

import (
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
)

// generateHeader reads $GENERATE: a range, the pattern of the owners, TTL, class
// and type, and the pattern of the data, which is one token.
func (s *scanner) generateHeader(e *entry) error {
	for _, what := range []string{"the range of $GENERATE", "the owner of $GENERATE"} {
		t, err := s.need(what)
		if err != nil {
			return err
		}
		if t.quoted {
			return failAt(t.start, "quotes where %s is expected", what)
		}
	}
	if _, err := parseSteps(s.line.toks[1].text); err != nil {
		return failAt(s.line.toks[1].start, "$GENERATE: %w", err)
	}
	t, err := s.need("the type")
	if err != nil {
		return err
	}
	if err := s.header(e, t); err != nil {
		return err
	}
	if _, err := s.need("the data of $GENERATE"); err != nil {
		return err
	}
	if extra, err := s.token(); err != nil {
		return err
	} else if extra != nil {
		return failAt(extra.start, "%q after the data of $GENERATE, which is one word: put it in quotes", extra.text)
	}
	if err := s.ended("$GENERATE"); err != nil {
		return err
	}
	for _, i := range []int{2, s.line.data} {
		if _, err := expandPattern(s.line.toks[i].text, 0); err != nil {
			return failAt(s.line.toks[i].start, "$GENERATE: %w", err)
		}
	}
	return nil
}

// steps are the numbers that a $GENERATE counts through.
type steps struct{ first, last, by uint64 }

func parseSteps(text []byte) (steps, error) {
	bad := fmt.Errorf("range %q is not FIRST-LAST or FIRST-LAST/STEP with a step from 1", text)
	span, by, stepped := strings.Cut(string(text), "/")
	first, last, ok := strings.Cut(span, "-")
	if !ok {
		return steps{}, bad
	}
	var s steps
	var errs [3]error
	s.by = 1
	s.first, errs[0] = strconv.ParseUint(first, 10, 31)
	s.last, errs[1] = strconv.ParseUint(last, 10, 31)
	if stepped {
		s.by, errs[2] = strconv.ParseUint(by, 10, 31)
	}
	if errs != [3]error{} || s.by == 0 || s.first > s.last {
		return steps{}, bad
	}
	return s, nil
}

// generated yields the owner and the data tokens of each record that the line
// which s has read stands for. It ends before the first that is none; see step.
func (s *scanner) generated() iter.Seq2[owner, []token] {
	return func(yield func(owner, []token) bool) {
		span, _ := parseSteps(s.line.toks[1].text)
		for n := span.first; n <= span.last; n += span.by {
			o, data, err := s.step(n)
			if err != nil || !yield(o, data) {
				return
			}
		}
	}
}

// step makes the record for one number of a $GENERATE.
func (s *scanner) step(n uint64) (owner, []token, error) {
	name, err := expandPattern(s.line.toks[2].text, int64(n))
	if err != nil {
		return owner{}, nil, err
	}
	left := scanner{state: state{origin: s.origin}, apex: s.apex}
	if err := left.newOwner(&token{text: []byte(name)}); err != nil {
		return owner{}, nil, err
	}
	text, err := expandPattern(s.line.toks[s.line.data].text, int64(n))
	if err != nil {
		return owner{}, nil, err
	}
	right := scanner{lexer: lexer{text: []byte(text)}}
	err = right.others()
	return left.owner, right.line.toks, err
}

var modifier = regexp.MustCompile(`^\{(-?\d+)(?:,(\d+)(?:,([doxXnN]))?)?\}`)

// expandPattern puts a number into a pattern, as genname of BIND does: $ is the
// number, ${offset,width,base} another form of it, and $$ and \$ are a dollar
// sign. An offset goes on for the rest of the pattern, as far as the next.
func expandPattern(pattern []byte, n int64) (string, error) {
	var b strings.Builder
	var offset int64
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			b.Write(pattern[i : i+2])
			i += 2
		case c != '$':
			b.WriteByte(c)
			i++
		case i+1 < len(pattern) && pattern[i+1] == '$':
			b.WriteByte('$')
			i += 2
		case i+1 < len(pattern) && pattern[i+1] == '{':
			m := modifier.FindSubmatch(pattern[i+1:])
			if m == nil {
				return "", fmt.Errorf("bad modifier in %q: it is ${offset}, ${offset,width} or ${offset,width,base} with a base of d, o, x, X, n or N", pattern)
			}
			var err error
			if offset, err = strconv.ParseInt(string(m[1]), 10, 32); err != nil {
				return "", fmt.Errorf("offset in %q: %w", pattern, err)
			}
			width := 0
			if len(m[2]) > 0 {
				if width, err = strconv.Atoi(string(m[2])); err != nil || width > 255 {
					return "", fmt.Errorf("width in %q is above 255", pattern)
				}
			}
			base := byte('d')
			if len(m[3]) > 0 {
				base = m[3][0]
			}
			b.WriteString(formatStep(n+offset, width, base))
			i += 1 + len(m[0])
		default:
			b.WriteString(strconv.FormatInt(n+offset, 10))
			i++
		}
	}
	return b.String(), nil
}

func formatStep(n int64, width int, base byte) string {
	switch base {
	case 'o':
		return fmt.Sprintf("%0*o", width, uint32(n))
	case 'x':
		return fmt.Sprintf("%0*x", width, uint32(n))
	case 'X':
		return fmt.Sprintf("%0*X", width, uint32(n))
	case 'n', 'N':
		return nibbles(uint32(n), width, base == 'N')
	}
	return fmt.Sprintf("%0*d", width, n)
}

// nibbles writes hexadecimal digits as labels, the lowest first, as ip6.arpa
// has them. The width counts the dots too.
func nibbles(n uint32, width int, upper bool) string {
	digits := "0123456789abcdef"
	if upper {
		digits = "0123456789ABCDEF"
	}
	var b strings.Builder
	for {
		b.WriteByte(digits[n&15])
		n >>= 4
		width--
		if width > 0 || n != 0 {
			b.WriteByte('.')
			width--
		}
		if n == 0 && width <= 0 {
			return b.String()
		}
	}
}
