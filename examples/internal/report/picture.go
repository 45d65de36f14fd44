package report

import "fmt"

// A picture is drawn as SVG by page.html. Its colours are the style sheet's, by class.
type picture struct {
	ID, Title, Desc string // Desc tells all of it to those who do not see it
	Width, Height   int
	Shapes          []shape // later ones lie over earlier ones
}

// A shape is a text, or else a path, or else a rectangle.
type shape struct {
	Class, Text, Path string
	X, Y, W, H        int
	Note              string // is shown where the mouse points
}

// Texts that must fit are set in a monospaced font of 12 pixels, whose characters are 7.25
// wide or less in every font that page.html asks for.
const (
	charWidth  = 7.25
	lineHeight = 18
	margin     = 12 // around texts
)

func widthOf(s string) int {
	n := 0
	for _, r := range s {
		if n++; r >= 0x1100 { // from here on, scripts have characters of double width
			n++
		}
	}
	return int(float64(n)*charWidth) + 1
}

func (p *picture) rect(class string, x, y, w, h int, note string) {
	p.Shapes = append(p.Shapes, shape{Class: class, X: x, Y: y, W: w, H: h, Note: note})
}

func (p *picture) path(class, format string, args ...any) {
	p.Shapes = append(p.Shapes, shape{Class: class, Path: fmt.Sprintf(format, args...)})
}

// text stands with its baseline at y, and begins at x unless its class is end or middle.
func (p *picture) text(class string, x, y int, s string) {
	p.Shapes = append(p.Shapes, shape{Class: class, X: x, Y: y, Text: s})
}

// arrow is a level line with its head at its end.
func (p *picture) arrow(class string, from, to, y int) {
	p.path("line "+class, "M%d %dH%d", from, y, to-6)
	p.path("head "+class, "M%d %dl-8 -4v8z", to, y)
}
