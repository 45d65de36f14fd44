package zone

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTypeCode(t *testing.T) {
	for _, w := range typeWords {
		for _, text := range []string{w.word, strings.ToLower(w.word), typeName(w.code)} {
			code, ok := typeCode([]byte(text))
			assert.True(t, ok, text)
			assert.Equal(t, w.code, code, text)
		}
		assert.Equal(t, w.word, typeName(w.code))
	}
	for text, want := range map[string]uint16{"TYPE1": 1, "type65535": 65535, "Type00300": 300, "TYPE0": 0} {
		code, ok := typeCode([]byte(text))
		assert.True(t, ok, text)
		assert.Equal(t, want, code, text)
	}
	assert.Equal(t, "TYPE65280", typeName(65280))
	for _, text := range []string{"", "www", "TYPE", "TYPE65536", "TYPE000001", "TYPE1x", "AA", "A\x00", "\x00A", "NSAP\rPTR", "NXNAME", "a\\.b", "IN", "OPENPGPKEX"} {
		_, ok := typeCode([]byte(text))
		assert.False(t, ok, text)
	}
}

func TestClassCode(t *testing.T) {
	for text, want := range map[string]uint16{"in": 1, "CH": 3, "Chaos": 3, "hs": 4, "HESIOD": 4, "none": 254, "ANY": 255, "CLASS1": 1, "class00255": 255, "reserved0": 0} {
		code, ok := classCode([]byte(text))
		assert.True(t, ok, text)
		assert.Equal(t, want, code, text)
	}
	for _, text := range []string{"", "A", "CLASS", "CLASS65536", "CLASS000001", "inn", "\tin"} {
		_, ok := classCode([]byte(text))
		assert.False(t, ok, text)
	}
	assert.Equal(t, "CH", className(3))
	assert.Equal(t, "CLASS7", className(7))
}

func TestCodesDoNotAllocate(t *testing.T) {
	words := [][]byte{[]byte("A"), []byte("www"), []byte("NSEC3PARAM"), []byte("TYPE65280"), []byte("CLASS7")}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, word := range words {
			typeCode(word)
			classCode(word)
		}
	}))
}

func BenchmarkTypeCode(b *testing.B) {
	for _, word := range []string{"A", "IN", "www", "CNAME", "a-long-label-indeed"} {
		text := []byte(word)
		b.Run(word, func(b *testing.B) {
			for b.Loop() {
				typeCode(text)
			}
		})
	}
}
