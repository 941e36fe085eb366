package cap

import (
	"encoding/xml"
	"testing"
	"time"
)

// benchmarks are alerts as services send them.
func benchmarks(b *testing.B, run func(b *testing.B, data []byte)) {
	for name, data := range map[string][]byte{"own": own(b, "flood.cap")} {
		b.Run(name, func(b *testing.B) { run(b, data) })
	}
	for _, name := range []string{"weather.cap", "earthquake.cap", "australia.cap", "canada.cap", "canada_signed.cap"} {
		b.Run(name, func(b *testing.B) { run(b, sample(b, name)) })
	}
}

func BenchmarkParse(b *testing.B) {
	benchmarks(b, func(b *testing.B, data []byte) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := Parse(data, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
	})
}

// BenchmarkParseAndCheck is what a node does with an alert that comes in.
func BenchmarkParseAndCheck(b *testing.B) {
	benchmarks(b, func(b *testing.B, data []byte) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			a, err := Parse(data, Limits{})
			if err != nil {
				b.Fatal(err)
			}
			Check(a, time.Time{})
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
	})
}

// BenchmarkStandardLibrary only reads the document, and checks nothing.
func BenchmarkStandardLibrary(b *testing.B) {
	type value struct {
		ValueName string `xml:"valueName"`
		Value     string `xml:"value"`
	}
	type alert struct {
		Identifier string `xml:"identifier"`
		Sent       string `xml:"sent"`
		Info       []struct {
			Event     string  `xml:"event"`
			Headline  string  `xml:"headline"`
			Parameter []value `xml:"parameter"`
			Area      []struct {
				AreaDesc string   `xml:"areaDesc"`
				Polygon  []string `xml:"polygon"`
				Geocode  []value  `xml:"geocode"`
			} `xml:"area"`
		} `xml:"info"`
	}
	benchmarks(b, func(b *testing.B, data []byte) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			var a alert
			if err := xml.Unmarshal(data, &a); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
	})
}

func BenchmarkAppend(b *testing.B) {
	a := flood()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], a)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
}

func BenchmarkVerify(b *testing.B) {
	key, cert := elliptic256(b)
	data, err := Sign(own(b, "flood.cap"), key, cert)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s, err := Verify(data, Limits{}); err != nil || !s[0].Holds() {
			b.Fatal(s, err)
		}
	}
}
