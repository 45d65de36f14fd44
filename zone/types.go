package zone

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/miekg/dns"
)

// A mnemonic is a word that stands for a number.
type mnemonic struct {
	word string
	code uint16
}

// The types that named 9.18 knows by a word, those that no zone may hold among
// them: they are words all the same, and so an error where a type is due.
var typeWords = []mnemonic{
	{"A", 1}, {"NS", 2}, {"MD", 3}, {"MF", 4}, {"CNAME", 5}, {"SOA", 6}, {"MB", 7},
	{"MG", 8}, {"MR", 9}, {"NULL", 10}, {"WKS", 11}, {"PTR", 12}, {"HINFO", 13},
	{"MINFO", 14}, {"MX", 15}, {"TXT", 16}, {"RP", 17}, {"AFSDB", 18}, {"X25", 19},
	{"ISDN", 20}, {"RT", 21}, {"NSAP", 22}, {"NSAP-PTR", 23}, {"SIG", 24}, {"KEY", 25},
	{"PX", 26}, {"GPOS", 27}, {"AAAA", 28}, {"LOC", 29}, {"NXT", 30}, {"EID", 31},
	{"NIMLOC", 32}, {"SRV", 33}, {"ATMA", 34}, {"NAPTR", 35}, {"KX", 36}, {"CERT", 37},
	{"A6", 38}, {"DNAME", 39}, {"SINK", 40}, {"OPT", 41}, {"APL", 42}, {"DS", 43},
	{"SSHFP", 44}, {"IPSECKEY", 45}, {"RRSIG", 46}, {"NSEC", 47}, {"DNSKEY", 48},
	{"DHCID", 49}, {"NSEC3", 50}, {"NSEC3PARAM", 51}, {"TLSA", 52}, {"SMIMEA", 53},
	{"HIP", 55}, {"NINFO", 56}, {"RKEY", 57}, {"TALINK", 58}, {"CDS", 59},
	{"CDNSKEY", 60}, {"OPENPGPKEY", 61}, {"CSYNC", 62}, {"ZONEMD", 63}, {"SVCB", 64},
	{"HTTPS", 65}, {"DSYNC", 66}, {"HHIT", 67}, {"BRID", 68}, {"SPF", 99},
	{"UINFO", 100}, {"UID", 101}, {"GID", 102}, {"UNSPEC", 103}, {"NID", 104},
	{"L32", 105}, {"L64", 106}, {"LP", 107}, {"EUI48", 108}, {"EUI64", 109},
	{"TKEY", 249}, {"TSIG", 250}, {"IXFR", 251}, {"AXFR", 252}, {"MAILB", 253},
	{"MAILA", 254}, {"ANY", 255}, {"URI", 256}, {"CAA", 257}, {"AVC", 258}, {"DOA", 259},
	{"AMTRELAY", 260}, {"RESINFO", 261}, {"WALLET", 262}, {"TA", 32768}, {"DLV", 32769},
	{"KEYDATA", 65533},
}

// The classes. The first word of a code is the one that is written.
var classWords = []mnemonic{
	{"IN", 1}, {"CH", 3}, {"CHAOS", 3}, {"HS", 4}, {"HESIOD", 4}, {"NONE", 254},
	{"ANY", 255}, {"RESERVED0", 0},
}

var typeIndex, classIndex = indexWords(typeWords), indexWords(classWords)

// A wordIndex finds the words of up to eight bytes without allocation or branch: a
// reader asks several times a record whether a word is a class or a type. Each word
// is packed into an integer and stands at its hash or behind it.
type wordIndex struct {
	keys  [512]uint64 // upper case; 0 is an empty place
	codes [512]uint16
}

func indexWords(words []mnemonic) *wordIndex {
	x := new(wordIndex)
	for _, w := range words {
		if len(w.word) > 8 {
			continue
		}
		key := pack([]byte(w.word))
		i := slot(key)
		for x.keys[i] != 0 {
			i = (i + 1) % 512
		}
		x.keys[i], x.codes[i] = key, w.code
	}
	return x
}

// pack makes a number of one to eight bytes, the first lowest. Of four and more it
// takes both ends, which may overlap.
func pack(word []byte) uint64 {
	switch n := len(word); n {
	case 1:
		return uint64(word[0])
	case 2:
		return uint64(word[0]) | uint64(word[1])<<8
	case 3:
		return uint64(word[0]) | uint64(word[1])<<8 | uint64(word[2])<<16
	default:
		return uint64(binary.LittleEndian.Uint32(word)) | uint64(binary.LittleEndian.Uint32(word[n-4:]))<<(8*(n-4))
	}
}

const caseBits = 0x2020202020202020 // in which the cases of a letter differ

func slot(key uint64) uint64 { return (key &^ caseBits) * 0x9e3779b97f4a7c15 >> 55 }

// find looks up a word of one to eight bytes.
func (x *wordIndex) find(word []byte) (uint16, bool) {
	key := pack(word)
	for i := slot(key) % 512; x.keys[i] != 0; i = (i + 1) % 512 {
		// Of the bytes of mnemonics only letters have 0x40, so half of it says
		// where case does not matter.
		if known := x.keys[i]; key&^(known>>1&caseBits) == known {
			return x.codes[i], word[len(word)-1] != 0 // a NUL at the end is lost in the number
		}
	}
	return 0, false
}

// typeCode is the number of a type: a mnemonic in any case, or TYPE and a number
// (RFC 3597, section 5).
func typeCode(text []byte) (uint16, bool) {
	if len(text) > 0 && len(text) <= 8 {
		if code, ok := typeIndex.find(text); ok {
			return code, true
		}
	} else if len(text) == 10 {
		switch {
		case bytes.EqualFold(text, []byte("NSEC3PARAM")):
			return dns.TypeNSEC3PARAM, true
		case bytes.EqualFold(text, []byte("OPENPGPKEY")):
			return dns.TypeOPENPGPKEY, true
		}
	}
	if len(text) < 5 || text[0]|0x20 != 't' {
		return 0, false
	}
	return numbered("TYPE", text)
}

// classCode is the number of a class: a mnemonic in any case, or CLASS and a
// number.
func classCode(text []byte) (uint16, bool) {
	if len(text) > 0 && len(text) <= 8 {
		if code, ok := classIndex.find(text); ok {
			return code, true
		}
	} else if bytes.EqualFold(text, []byte("RESERVED0")) {
		return 0, true
	}
	if len(text) < 6 || text[0]|0x20 != 'c' {
		return 0, false
	}
	return numbered("CLASS", text)
}

// numbered reads a prefix and up to five digits, which may begin with zeros.
func numbered(prefix string, text []byte) (uint16, bool) {
	n := len(prefix)
	if len(text) > n+5 || !bytes.EqualFold(text[:n], []byte(prefix)) {
		return 0, false
	}
	code, ok := decimal(text[n:], 1<<16-1)
	return uint16(code), ok
}

// decimal reads digits, and nothing else, up to limit.
func decimal(text []byte, limit uint64) (uint64, bool) {
	var n uint64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + uint64(c-'0'); n > limit {
			return 0, false
		}
	}
	return n, len(text) > 0
}

// typeName is the word for a type, or TYPE and its number.
func typeName(code uint16) string { return wordOf("TYPE", typeWords, code) }

// className is the word for a class, or CLASS and its number.
func className(code uint16) string { return wordOf("CLASS", classWords, code) }

func wordOf(prefix string, words []mnemonic, code uint16) string {
	for _, w := range words {
		if w.code == code {
			return w.word
		}
	}
	return prefix + strconv.Itoa(int(code))
}
