package zone

import "strings"

// directive reads a line that begins with a dollar sign, up to where its effect
// can be told. Its name may be in quotes, as any word at the start of a line.
func (s *scanner) directive(e *entry, name *token) error {
	text, at := string(name.text), name.start
	upper := strings.ToUpper(text)
	switch upper {
	case "$TTL":
		e.kind = setTTL
		return s.arguments(upper, 1, 1)
	case "$ORIGIN":
		e.kind = setOrigin
		return s.arguments(upper, 1, 1)
	case "$INCLUDE":
		e.kind = include
		return s.arguments(upper, 1, 2)
	case "$DATE":
		e.kind = date
		return s.arguments(upper, 1, 1)
	case "$GENERATE":
		e.kind = generate
		return s.generateHeader(e)
	}
	return failAt(at, "unknown directive %q", text)
}

// arguments reads those of a directive. Only the path of $INCLUDE may be quoted.
func (s *scanner) arguments(name string, least, most int) error {
	if err := s.others(); err != nil {
		return err
	}
	args := s.line.toks[1:]
	switch {
	case len(args) < least:
		return failAt(s.pos, "%s without its argument", name)
	case len(args) > most:
		return failAt(args[most].start, "%q after the arguments of %s", args[most].text, name)
	}
	if name != "$INCLUDE" || len(args) == 2 {
		if err := s.ended(name); err != nil {
			return err
		}
	}
	for i, arg := range args {
		if arg.quoted && !(i == 0 && name == "$INCLUDE") {
			return failAt(arg.start, "quotes in %s", name)
		}
	}
	return nil
}

// ended reports a directive that the file ends in, without a line end: named takes
// that of records only.
func (s *scanner) ended(name string) error {
	if s.pos == len(s.text) {
		return failAt(s.pos, "no line end after %s", name)
	}
	return nil
}

// domainAt is the origin that a token names.
func (s *scanner) domainAt(i int) (*domain, error) {
	t := s.line.toks[i]
	name, err := absoluteName(t.text, s.origin.text)
	if err != nil {
		return nil, failAt(t.start, "origin %q: %w", t.text, err)
	}
	return newDomain(name, s.apex), nil
}
