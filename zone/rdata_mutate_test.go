package zone

import (
	"errors"
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
		if _, known := disagreements[c.text]; c.good && !known && !alone(c.text) {
			good = append(good, c)
		}
	}
	random := rand.New(rand.NewPCG(1, mutationSeed))
	seen := map[string]bool{}
	var cases []dataCase
	for len(cases) < 3000 {
		text := mutate(random, good[random.IntN(len(good))].text)
		typ, data := dataCase{text: text}.split()
		_, err := ours("x", typ, data)
		_, oneRecord := dataTokens(data)
		if seen[text] || alone(text) || errors.Is(err, errUnvalidated) || oneRecord != nil {
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
