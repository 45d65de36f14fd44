package zone

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rehost/rehost/internal/lab"
)

// TestMutatedDataAsNamedReads changes good data a little, in ways that people and
// programs do, and compares with named again.
func TestMutatedDataAsNamedReads(t *testing.T) {
	lab.Need(t, "named-checkzone", "named-compilezone")
	var good []dataCase
	for _, c := range readCases(t) {
		if c.good && !disagreement.MatchString(c.text) && !withoutVerdict.MatchString(c.text) && !alone(c.text) {
			good = append(good, c)
		}
	}
	// The same in the form of unknown types, for what becomes of its bytes.
	for i, c := range good {
		typ, data := c.split()
		if wire, err := ours(caseOwner(i), typ, data); err == nil && len(wire) < 1000 {
			good = append(good, dataCase{text: fmt.Sprintf(`%s \# %d %x`, typ, len(wire), wire), good: true})
		}
	}
	random := rand.New(rand.NewPCG(1, mutationSeed))
	seen := map[string]bool{}
	var cases []dataCase
	for len(cases) < 3000 {
		text := good[random.IntN(len(good))].text
		if head, data, ok := strings.Cut(text, ` \# `); ok {
			text = head + mutateBytes(random, data)
		} else {
			text = mutate(random, text)
		}
		_, data := dataCase{text: text}.split()
		_, oneRecord := dataTokens(data)
		if seen[text] || alone(text) || disagreement.MatchString(text) || strings.HasPrefix(text+" ", " ") || oneRecord != nil {
			continue
		}
		seen[text] = true
		cases = append(cases, dataCase{text: text})
	}
	compare(t, cases, false)
}

const mutationSeed = 1

func mutate(random *rand.Rand, text string) string {
	words := strings.Split(text, " ")
	i := 0
	if len(words) > 1 {
		i = 1 + random.IntN(len(words)-1)
	}
	word := words[i]
	spot := random.IntN(len(word) + 1)
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	switch random.IntN(8) {
	case 0:
		words = slices.Delete(words, i, i+1)
	case 1:
		words = slices.Insert(words, i, word)
	case 2:
		words[i] = pick("0", "1", "255", "256", "65535", "65536", "4294967295", "4294967296", "-1", "+1", "1h", "0x1", "00", "@", ".", "a", "a.", "*", "-", "=", "AA==", "A", "TYPE1", "ff", `""`, `"a"`, "192.0.2.1", "::1", "20260101000000", "NS")
	case 3:
		words[i] = word[:spot] + pick("0", "9", "a", "Z", ".", ",", "-", ":", "/", `\`, `\,`, `\065`, `"`, "=", "|", "+", "!", "*", "[", "\x80") + word[spot:]
	case 4:
		if spot < len(word) {
			words[i] = word[:spot] + word[spot+1:]
		}
	case 5:
		words[i] = pick(strings.ToUpper(word), strings.ToLower(word), `"`+word+`"`, word[:spot]+" "+word[spot:])
	case 6:
		j := random.IntN(len(words))
		if j > 0 {
			words[i], words[j] = words[j], words[i]
		}
	case 7:
		if spot < len(word) {
			words[i] = word[:spot] + string(rune('!'+random.IntN(94))) + word[spot+1:]
		}
	}
	return strings.Join(words, " ")
}

// mutateBytes changes, adds or drops a byte of "n hex", and corrects n.
func mutateBytes(random *rand.Rand, data string) string {
	_, digits, _ := strings.Cut(data, " ")
	wire, _ := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	at := random.IntN(len(wire) + 1)
	switch b := []byte{0, 1, 2, 4, 20, 63, 64, 128, 192, 255, byte(random.IntN(256))}[random.IntN(11)]; random.IntN(3) {
	case 0:
		wire = slices.Insert(wire, at, b)
	case 1:
		if at < len(wire) {
			wire[at] = b
		}
	case 2:
		if at < len(wire) {
			wire = slices.Delete(wire, at, at+1)
		}
	}
	return fmt.Sprintf(` \# %d %x`, len(wire), wire)
}
