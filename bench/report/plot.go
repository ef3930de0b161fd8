package report

import (
	"bytes"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ink is the colour of texts and axes. It and the colours of the series are readable on white and on black; the
// background is transparent.
var ink = color.RGBA{R: 0x80, G: 0x80, B: 0x80, A: 0xff}

var colours = []color.Color{
	color.RGBA{R: 0x2f, G: 0x81, B: 0xd7, A: 0xff}, // blue
	color.RGBA{R: 0xd2, G: 0x7a, B: 0x1e, A: 0xff}, // orange
	color.RGBA{R: 0x3f, G: 0x9d, B: 0x5a, A: 0xff}, // green
	color.RGBA{R: 0xb0, G: 0x5f, B: 0xc4, A: 0xff}, // violet
}

// The size of a plot.
const (
	width  = 18 * vg.Centimeter
	height = 9 * vg.Centimeter
)

// Series is a line, or the bars of one colour.
type Series struct {
	// Name is its name in the legend.
	Name string
	// X are the sizes of a line; bars have none.
	X []float64
	// Y are the values.
	Y []float64
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding, p.Legend.Top, p.Legend.Padding = vg.Points(8), true, vg.Points(2)
	for _, style := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Color, style.Font.Variant, style.Font.Size = ink, "Sans", font.Length(10)
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color = ink, ink
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal.Color = color.NRGBA{R: 0x80, G: 0x80, B: 0x80, A: 0x60}
	p.Add(grid)
	return p
}

// Bars returns a plot with a group of bars for each label.
func Bars(title, x string, labels []string, series []Series) ([]byte, error) {
	p := newPlot(title, x, "")
	bar := vg.Points(14)
	for i, s := range series {
		bars, err := plotter.NewBarChart(plotter.Values(s.Y), bar)
		if err != nil {
			return nil, err
		}
		bars.Color, bars.LineStyle.Width = colours[i%len(colours)], 0
		bars.Offset = bar * vg.Length(2*i-len(series)+1) / 2
		p.Add(bars)
		p.Legend.Add(s.Name, bars)
	}
	p.NominalX(labels...)
	p.X.Min, p.X.Max = -0.5, float64(len(labels))-0.5
	p.Y.Min = 0
	p.Y.Max *= 1.25 // for the legend
	return svg(p)
}

// Lines returns a plot with a line for each series, on logarithmic axes.
func Lines(title, x, y string, series []Series) ([]byte, error) {
	p := newPlot(title, x, y)
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Left = true
	for i, s := range series {
		points := make(plotter.XYs, len(s.X))
		for j := range s.X {
			points[j].X, points[j].Y = s.X[j], s.Y[j]
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = colours[i%len(colours)], vg.Points(1.5)
		dots.Color, dots.Shape, dots.Radius = colours[i%len(colours)], draw.CircleGlyph{}, vg.Points(2.5)
		p.Add(line, dots)
		p.Legend.Add(s.Name, line, dots)
	}
	p.Y.Max *= 4   // for the legend
	p.X.Max *= 1.3 // for the last label
	return svg(p)
}

func svg(p *plot.Plot) ([]byte, error) {
	drawn, err := p.WriterTo(width, height, "svg")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if _, err := drawn.WriteTo(&text); err != nil {
		return nil, err
	}
	const measured, shown = "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,sans-serif;"
	return bytes.ReplaceAll(text.Bytes(), []byte(measured), []byte(shown)), nil
}
