package bench

import (
	"fmt"
	"math"
)

// line is what was measured, as y = base + each*x, fitted by least squares.
type line struct {
	points     [][2]float64
	base, each float64
	baseErr    float64 // half of the 95 % interval
	eachErr    float64
	off        float64 // standard deviation of the points from the line
	mean, sum2 float64 // of x: its mean, and the sum of squares around it
}

// student is the 97.5 % quantile of Student's t by degrees of freedom.
var student = []float64{0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}

func (l *line) t() float64 { return student[min(max(len(l.points)-2, 1), len(student)-1)] }

// fit needs three points or more, not all of one x.
func fit(points [][2]float64) *line {
	n := float64(len(points))
	l := &line{points: points}
	var y float64
	for _, p := range points {
		l.mean, y = l.mean+p[0]/n, y+p[1]/n
	}
	var xy float64
	for _, p := range points {
		l.sum2 += (p[0] - l.mean) * (p[0] - l.mean)
		xy += (p[0] - l.mean) * (p[1] - y)
	}
	l.each = xy / l.sum2
	l.base = y - l.each*l.mean
	var rest float64
	for _, p := range points {
		d := p[1] - l.base - l.each*p[0]
		rest += d * d
	}
	l.off = math.Sqrt(rest / (n - 2))
	l.eachErr = l.t() * l.off / math.Sqrt(l.sum2)
	l.baseErr = l.t() * l.off * math.Sqrt(1/n+l.mean*l.mean/l.sum2)
	return l
}

// at returns where the line is at x, and half of its 95 % interval there.
func (l *line) at(x float64) (y, err float64) {
	return l.base + l.each*x, l.t() * l.off * math.Sqrt(1/float64(len(l.points))+(x-l.mean)*(x-l.mean)/l.sum2)
}

func (l *line) String() string {
	return fmt.Sprintf("%s + %s x, 95 %%: ±%s, ±%s", number(l.base), number(l.each), number(l.baseErr), number(l.eachErr))
}
