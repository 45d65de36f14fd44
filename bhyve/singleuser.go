package bhyve

import "strings"

// SingleUser reports whether a grub_runN line boots a NetBSD kernel in
// single-user mode: knetbsd with the option -s, --single, or s among others as
// in -hs. One such line is enough.
func (f *File) SingleUser() bool {
	v := f.view()
	for n := range run.count(v) {
		if k, ok := readKernel(v.get(run.key(n, ""))); ok && len(k.single) > 0 {
			return true
		}
	}
	return false
}

// SetSingleUser turns single-user mode on or off in every grub_runN line that
// boots a NetBSD kernel, as vm-bhyve's sample for NetBSD does with knetbsd
// (a command of GRUB). On, it puts -s before the option -r, or first if there is
// none; off, it takes out whatever asks for single-user mode. On a file that was
// not in single-user mode the two are inverse, byte for byte.
//
// Turning it on is a [*ValueError] if no line boots a NetBSD kernel.
func (f *File) SetSingleUser(on bool) error {
	v := f.view()
	kernels := 0
	for n := range run.count(v) {
		l := v.at[run.key(n, "")]
		k, ok := readKernel(l.value)
		if !ok {
			continue
		}
		kernels++
		switch {
		case on && len(k.single) == 0:
			at := l.rawIndex(k.at)
			f.lines[l.line-1] = l.rawKey + l.rawValue[:at] + " -s" + l.rawValue[at:] + l.rest
		case !on:
			f.lines[l.line-1] = l.rawKey + l.without(k.single) + l.rest
		}
	}
	if on && kernels == 0 {
		return &ValueError{Field: "grub_run0", Value: v.get("grub_run0"), Reason: "no grub_run line boots a NetBSD kernel with knetbsd"}
	}
	return nil
}

// rawIndex returns where byte i of the value stands in rawValue, which has
// quotes between.
func (s setting) rawIndex(i int) int {
	for at := range len(s.rawValue) {
		if s.rawValue[at] == '"' {
			continue
		}
		if i == 0 {
			return at
		}
		i--
	}
	return len(s.rawValue)
}

// without returns rawValue less some bytes of the value, in rising order.
func (s setting) without(drop []int) string {
	var kept []byte
	i := 0
	for at := range len(s.rawValue) {
		quote := s.rawValue[at] == '"'
		if !quote && len(drop) > 0 && drop[0] == i {
			drop = drop[1:]
		} else {
			kept = append(kept, s.rawValue[at])
		}
		if !quote {
			i++
		}
	}
	return string(kept)
}

// A kernel is a knetbsd command, in bytes of the value.
type kernel struct {
	single []int // those to take out, in rising order, so that it boots to multi-user mode
	at     int   // where " -s" goes
}

// knetbsdFlags are the short options of GRUB's knetbsd. -r takes the next word.
const knetbsdFlags = "12abcdhmqrsvxz"

func readKernel(command string) (k kernel, ok bool) {
	words := splitWords(command)
	if len(words) < 2 || words[0].text != "knetbsd" {
		return k, false
	}
	k.at = words[0].end()
	for i := 1; i < len(words) && words[i].text != "--"; i++ {
		w := words[i]
		switch {
		case w.text == "--single" || isCluster(w.text, "s"):
			for at := w.at - 1; at < w.end(); at++ { // with the blank before it
				k.single = append(k.single, at)
			}
		case strings.HasPrefix(w.text, "--root="):
			k.at = words[i-1].end()
		case isCluster(w.text, knetbsdFlags):
			for j := range len(w.text) {
				if w.text[j] == 's' {
					k.single = append(k.single, w.at+j)
				}
			}
			if strings.Contains(w.text, "r") {
				k.at = words[i-1].end()
				i++ // its argument is no option, whatever it looks like
			}
		}
	}
	return k, true
}

// isCluster reports whether a word is some of the short options, such as -h or -hs.
func isCluster(text, options string) bool {
	return len(text) > 1 && text[0] == '-' && strings.Trim(text[1:], options) == ""
}

// A word is a part of a command between blanks.
type word struct {
	text string
	at   int
}

func (w word) end() int { return w.at + len(w.text) }

func splitWords(text string) []word {
	var words []word
	start := 0
	for i := range len(text) + 1 {
		if i < len(text) && text[i] != ' ' && text[i] != '\t' {
			continue
		}
		if i > start {
			words = append(words, word{text[start:i], start})
		}
		start = i + 1
	}
	return words
}
