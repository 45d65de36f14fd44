package wgpeer

import (
	"net/netip"
	"strings"
)

// A setting is a line with a key that wg or wg-quick knows.
type setting struct {
	line       int    // from 0
	key        string // as the manual writes it
	value      string // as wg or wg-quick reads it
	start, end int    // the place of the value in the line, blanks around it left out
	bad        bool   // it is refused
}

// col is the column at which the value begins, from 1.
func (s *setting) col() int { return s.start + 1 }

// A section begins with its header and ends before the next one.
type section struct {
	head, end int  // the lines, from 0
	peer      bool // [Peer], not [Interface]
	quick     bool // wg-quick too takes it for [Interface]
	left      int  // the line at which wg-quick does so no longer, if it is before the end; 0: none
	settings  []*setting

	key     PublicKey             // of a peer
	keyed   bool                  // it has one
	allowed map[netip.Prefix]bool // of a peer
}

// last is the line behind which a new setting of a key goes.
func (s *section) last(key string) int {
	last := s.head
	for _, set := range s.settings {
		if s.left == 0 || set.line < s.left || quickKeys[fold(key)] == "" {
			last = set.line
		}
	}
	return last
}

// find returns the settings of a key, in order.
func (s *section) find(key string) []*setting {
	var found []*setting
	for _, set := range s.settings {
		if set.key == key {
			found = append(found, set)
		}
	}
	return found
}

var (
	interfaceKeys = keySet("PrivateKey", "ListenPort", "FwMark")
	peerKeys      = keySet("PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "PersistentKeepalive")
	quickKeys     = keySet("Address", "DNS", "MTU", "Table", "PreUp", "PostUp", "PreDown", "PostDown", "SaveConfig")
)

func keySet(keys ...string) map[string]string {
	set := make(map[string]string, len(keys))
	for _, key := range keys {
		set[fold(key)] = key
	}
	return set
}

// sections reads the lines, first as wg-quick(8) does, which keeps some to itself,
// and then as wg(8) does. What neither knows goes to refuse.
func sections(lines []string, refuse func(line, col int, message string)) []*section {
	var all []*section
	var now *section
	quick := false // wg-quick is in [Interface]
	for i, line := range lines {
		text, _, _ := strings.Cut(line, "#")
		clean := squeeze(text)
		if clean == "" {
			continue
		}
		rawKey, rawValue, assigns := strings.Cut(text, "=")
		set := &setting{line: i}
		set.end = len(strings.TrimRight(text, space))
		if assigns {
			set.start = set.end - len(strings.TrimLeft(text[len(rawKey)+1:set.end], space))
		}
		word := strings.Trim(rawKey, space)
		if strings.HasPrefix(word, "[") {
			if quick && now != nil {
				now.left = i
			}
			quick = fold(word) == "[interface]" && !assigns // with more behind it wg refuses it
		}
		if key := quickKeys[fold(word)]; quick && key != "" {
			set.key, set.value = key, strings.Trim(rawValue, space)
			if !assigns { // ${line#*=} of a line without "=" is the line
				set.value = word
			}
			now.settings = append(now.settings, set)
			continue
		}
		if header := fold(clean); header == "[interface]" || header == "[peer]" {
			if now != nil {
				now.end = i
			}
			now = &section{head: i, end: len(lines), peer: header == "[peer]", quick: quick, allowed: map[netip.Prefix]bool{}}
			all = append(all, now)
			continue
		}
		known := map[string]string{}
		switch {
		case now != nil && now.peer:
			known = peerKeys
		case now != nil:
			known = interfaceKeys
		}
		name, value, _ := strings.Cut(clean, "=")
		set.key, set.value = known[fold(name)], value
		switch {
		case set.key == "":
			refuse(i+1, len(text)-len(strings.TrimLeft(text, space))+1, unknown(name, assigns, now))
		case value == "":
			refuse(i+1, set.col(), set.key+" has no value")
			set.bad = true
			fallthrough
		default:
			now.settings = append(now.settings, set)
		}
	}
	return all
}

// unknown says why wg refuses a line. It shows no more of it than a key: the rest,
// or the whole of a line that has lost its key, may be a secret.
func unknown(name string, assigns bool, now *section) string {
	folded := fold(name)
	switch {
	case strings.HasPrefix(name, "\ufeff"):
		return "a byte-order mark: wg takes it for a part of the line"
	case strings.HasPrefix(name, ";"):
		return "; begins no comment: write #"
	case strings.HasPrefix(name, "["):
		return "the sections are [Interface] and [Peer]"
	case quickKeys[folded] != "":
		return quickKeys[folded] + " is for wg-quick alone, which wants it in [Interface], and no blanks inside the two words"
	case peerKeys[folded] != "":
		return peerKeys[folded] + " belongs in a section [Peer]"
	case interfaceKeys[folded] != "":
		return interfaceKeys[folded] + " belongs in a section [Interface]"
	case now == nil:
		return "a line before the first section"
	case !assigns || len(name) > 24 || strings.Trim(folded, "abcdefghijklmnopqrstuvwxyz") != "":
		return "wg does not know this line"
	}
	return "wg does not know the key " + name
}

// comment returns what a comment says, "" if the line has none, and for a setting
// that was made a comment.
func comment(line string) string {
	_, text, _ := strings.Cut(line, "#")
	text = strings.TrimSpace(strings.TrimLeft(text, "#"))
	if strings.Contains(text, "=") {
		return ""
	}
	return text
}

// isComment reports whether a line is a comment and nothing else.
func isComment(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, space), "#") }

func isBlank(line string) bool { return strings.Trim(line, space) == "" }

// above returns the first line of the comments directly above a header, from 0, or
// the header itself. Settings that were made comments are the section's above.
func above(lines []string, head int) int {
	for head > 0 && isComment(lines[head-1]) && !strings.Contains(lines[head-1], "=") {
		head--
	}
	return head
}

// name returns the name of a peer: the comment on its header's line, or the first
// between that and the keys, or the one directly above.
func (s *section) name(lines []string) string {
	if name := comment(lines[s.head]); name != "" {
		return name
	}
	end := s.end
	if len(s.settings) > 0 {
		end = s.settings[0].line
	}
	for _, line := range lines[s.head+1 : end] {
		if name := comment(line); name != "" {
			return name
		}
	}
	if s.head > 0 && isComment(lines[s.head-1]) {
		return comment(lines[s.head-1])
	}
	return ""
}
