package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPage(t *testing.T) {
	page := pageOf(t, sample())
	for _, want := range []string{
		"Failed: 1 of 12 checks did not hold, 8 held, 3 were not tried.", "web stopped for 3.42 s", "182 of 4012",
		"1.5 MiB of 256 MiB", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		"nothing in the zone has the old address", "no NetBSD is here to be upgraded",
		"2001:db8:189c:700:b4d2::4/80", "submission", "502 Bad Gateway",
	} {
		assert.Contains(t, page, want)
	}
	assert.Contains(t, page, `content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"`)
	assert.NotRegexp(t, regexp.MustCompile(`(?i)<script|<link|<img|<iframe|@import|url\(|href=|src=|https?:|\son\w+=`), page)
}

// TestPageKeepsWhatItIsToldAsText has, in every place, a name that would be more.
func TestPageKeepsWhatItIsToldAsText(t *testing.T) {
	const evil = "</title></style><script>alert('1')</script><b a=\"\">&amp; {{.}} \u202e\x1b[2J"
	r := &Report{
		Guest: evil, Where: evil, Took: Seconds(time.Second),
		Network: Network{Domain: evil, Old: Host{evil, []string{evil}}, Router: Host{evil, []string{evil}}, Home: Host{evil, []string{evil}},
			Services: []Service{{evil, evil, evil}}},
		Phases: []Phase{{1, evil, 0, Seconds(time.Second), []Finding{
			{evil, evil, Held, evil}, {evil, evil, Failed, evil}, {evil, evil, NotTried, evil}, {evil, evil, evil, evil}}}},
		Probes:  []Probes{{evil, evil, 0, 2, 1}, {evil, evil, 7, 1, 1}},
		Outages: []Outage{{evil, evil, 0, 1, 1, evil}},
		Stop:    Stop{evil, 1, 0, 1},
		Disk:    Disk{Size: 1, Digest: evil},
	}
	page := pageOf(t, r)
	assert.NotContains(t, page, "<script")
	assert.NotContains(t, page, "<b ")
	assert.Equal(t, 1, strings.Count(page, "</style>"))
	assert.Contains(t, page, "{{.}}")

	var text strings.Builder
	require.NoError(t, r.Text(&text))
	for _, s := range []string{page, text.String()} {
		assert.NotContains(t, s, "\x1b")
		assert.NotContains(t, s, "\u202e")
	}
}

// TestPageOfLittle has reports of moves that did not come far.
func TestPageOfLittle(t *testing.T) {
	for name, r := range map[string]*Report{
		"nothing":       {},
		"new":           New("senate", "a test", time.Now()),
		"only failures": {Phases: []Phase{{1, "Prepare", 0, 0, []Finding{{"it holds", "", Failed, ""}}}}},
		"no time":       {Phases: []Phase{{1, "Prepare", 0, 0, nil}}, Probes: []Probes{{"web", "old", 0, 1, 1}}},
		"an outage":     {Outages: []Outage{{"web", "old", 0, Seconds(time.Second), 1, "refused"}}},
		"no phase":      {Took: Seconds(time.Second), Probes: []Probes{{"web", "old", 3, 1, 1}, {"web", "old", -1, 1, 1}}},
		"only IPv4":     {Network: Network{Router: Host{"ingress", []string{"203.0.113.63"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			pageOf(t, r)
			require.NoError(t, r.Text(io.Discard))
		})
	}
}

// TestPicturesFit finds every text of the network inside of the box that it lies in,
// whatever the names are.
func TestPicturesFit(t *testing.T) {
	r := sample()
	r.Guest = strings.Repeat("guest.", 12)
	r.Network.Home.Name = strings.Repeat("home.", 9)
	r.Network.Router.Addresses = []string{"2001:0db8:1111:2222:3333:4444:5555:6666/128"}
	r.Network.Services = append(r.Network.Services, Service{strings.Repeat("service", 6), "tcp+udp 10000-20000", "tunnel"})
	r.Phases[4].Title = strings.Repeat("a very long title ", 9)
	network := r.drawNetwork()
	for _, text := range network.Shapes {
		if text.Text == "" || strings.HasPrefix(text.Class, "label") {
			continue
		}
		from, to := text.X, text.X+widthOf(text.Text)
		if text.Class == "data end" {
			from, to = text.X-widthOf(text.Text), text.X
		}
		inside := 0
		for _, box := range network.Shapes {
			if box.W > 0 && box.X <= text.X && text.X <= box.X+box.W && box.Y <= text.Y && text.Y <= box.Y+box.H {
				assert.LessOrEqual(t, box.X, from, text.Text)
				assert.GreaterOrEqual(t, box.X+box.W, to, text.Text)
				inside++
			}
		}
		assert.NotZero(t, inside, text.Text)
	}
	timeline := r.drawTimeline()
	for _, s := range timeline.Shapes {
		assert.LessOrEqual(t, s.X+s.W, timeline.Width)
		assert.LessOrEqual(t, s.Y+s.H, timeline.Height)
	}
}

func TestTicks(t *testing.T) {
	for total, want := range map[time.Duration]string{
		time.Millisecond:         "0 s, 0.001 s",
		350 * time.Millisecond:   "0 s, 0.1 s, 0.2 s, 0.3 s",
		58310 * time.Millisecond: "0 s, 10 s, 20 s, 30 s, 40 s, 50 s",
		4 * time.Minute:          "0 s, 1 min, 2 min, 3 min, 4 min",
		150 * time.Second:        "0 s, 30 s, 1 min, 1.5 min, 2 min, 2.5 min",
		5 * time.Hour:            "0 s, 1 h, 2 h, 3 h, 4 h, 5 h",
		20 * 24 * time.Hour:      "0 s, 96 h, 192 h, 288 h, 384 h, 480 h",
	} {
		var labels []string
		for _, at := range ticks(Seconds(total)) {
			labels = append(labels, tickLabel(at))
		}
		assert.Equal(t, want, strings.Join(labels, ", "))
	}
}

// pageOf is the page, each of whose elements has its end.
func pageOf(t *testing.T, r *Report) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, r.Page(&out))
	d := xml.NewDecoder(strings.NewReader(out.String()))
	d.Entity = xml.HTMLEntity
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		require.NoError(t, err)
	}
}
