package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestADirectionCarriesPacketsOneAfterTheOther(t *testing.T) {
	now := time.Unix(1e9, 0)
	d := direction{Line: Line{Delay: 30 * time.Millisecond, Rate: 12e6, Queue: 2}} // a millisecond a packet
	for i, want := range []time.Duration{31, 32, 33} {
		arrives, ok := d.send(1500, now)
		assert.True(t, ok, "packet %d", i)
		assert.Equal(t, want*time.Millisecond, arrives.Sub(now), "packet %d", i)
	}
	_, ok := d.send(1500, now)
	assert.False(t, ok, "the queue is full")
	_, ok = d.send(1500, now.Add(time.Millisecond))
	assert.True(t, ok, "one has left")

	d.Loss = 1
	_, ok = d.send(1500, now.Add(time.Second))
	assert.False(t, ok, "all are lost")
}
