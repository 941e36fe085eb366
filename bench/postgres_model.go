package bench

import (
	"fmt"
	"math"
)

// What is measured, as rows name it.
const (
	recordFile    = "a record on SQLite: disk"
	recordDisk    = "a record on PostgreSQL: disk"
	recordLog     = "a record on PostgreSQL: write-ahead log"
	recordAlone   = "a record on SQLite: process"
	recordProcess = "a record on PostgreSQL: process"
	recordServer  = "a record on PostgreSQL: server"
	turnProcess   = "a record alone in its turn, on PostgreSQL: process"
	turnServer    = "a record alone in its turn, on PostgreSQL: server"
	turnTime      = "a record alone in its turn, on PostgreSQL: the turn"
	pageProcess   = "a page on PostgreSQL: process"
	pageServer    = "a page on PostgreSQL: server"
	readerMemory  = "a reader of the live stream: memory"
	readerIdle    = "a reader of the live stream, when nothing happens: process"
	readerEvent   = "an event to one reader: process"
	positionBus   = "a position on the bus alone: sender, server and receiver"
	peerWire      = "a record to another node: wire"
	peerNodes     = "a record to another node: both nodes"
)

type costs []cost

func (cs costs) of(what string) *line {
	for i := range cs {
		if cs[i].what == what {
			return cs[i].line
		}
	}
	return fit([][2]float64{{0, 0}, {1, 0}, {2, 0}})
}

// place is what one node would serve in its busiest hour. Rates are a second.
type place struct {
	name      string
	consoles  float64
	changes   float64 // a change of each console every minute
	pages     float64 // and a page every 20 seconds
	seen      float64 // share of the consoles that get an event
	positions float64
	abroad    float64 // records to other nodes
	mean      float64 // of a day, as a share of its busiest hour
}

// region has 13 states, 2,000 consoles and 200,000 positions a minute; a continent is
// ten of them on one node, to see what breaks.
var places = []place{
	{name: "region", consoles: 2000, changes: 2000. / 60, pages: 2000. / 20, seen: 0.2, positions: 200_000. / 60, abroad: 2000. / 60 / 4 * 3, mean: 1. / 3},
	{name: "continent on one node", consoles: 20_000, changes: 20_000. / 60, pages: 20_000. / 20, seen: 0.2, positions: 2_000_000. / 60, abroad: 20_000. / 60 / 4 * 3, mean: 1. / 3},
}

// rows extrapolates. An error is half of the 95 % interval, of what was measured alone:
// how much people do is assumed.
func (p *place) rows(cs costs) (rows []Row) {
	method := fmt.Sprintf("extrapolated: %.0f consoles, each with a live stream, %.0f changes a second, %.0f pages a second, an event reaches %.0f %% of the consoles, %.0f positions a second, %.0f records a second to other nodes; a day's mean is %.2f of this",
		p.consoles, p.changes, p.pages, p.seen*100, p.positions, p.abroad, p.mean)
	add := func(what, unit string, v, err float64) {
		rows = append(rows, Row{Name: p.name + ": " + what, Value: v, Unit: fmt.Sprintf("%s ±%s", unit, number(err)), Reach: "a model", OK: true, Method: method})
	}
	var all, wrong float64
	busy := func(what string, rate float64, of ...string) { // ms of a processor each
		var v, e float64
		for _, o := range of {
			v, e = v+cs.of(o).each*rate/1000, math.Hypot(e, cs.of(o).eachErr*rate/1000)
		}
		all, wrong = all+v, math.Hypot(wrong, e)
		add(what, "processors", v, e)
	}
	busy("processes, changes, each alone", p.changes, turnProcess)
	busy("PostgreSQL, changes, each alone", p.changes, turnServer)
	busy("processes, pages", p.pages, pageProcess)
	busy("PostgreSQL, pages", p.pages, pageServer)
	busy("processes, live streams", p.changes*p.consoles*p.seen, readerEvent)
	busy("processes, idle streams", p.consoles, readerIdle)
	busy("positions, the bus alone", p.positions, positionBus)
	busy("records to other nodes, both ends", p.abroad, peerNodes)
	add("all of these", "processors", all, wrong)
	turn := cs.of(turnTime)
	add("the turn to write is taken, changes each alone", "of the time", p.changes*turn.each/1000, p.changes*turn.eachErr/1000)
	const day = 24 * 3600
	for _, d := range []struct {
		what, of string
	}{{"PostgreSQL, disk a day", recordDisk}, {"PostgreSQL, write-ahead log a day", recordLog}} {
		l := cs.of(d.of)
		add(d.what, "GB", p.changes*p.mean*day*l.each/1e9, p.changes*p.mean*day*l.eachErr/1e9)
	}
	l := cs.of(peerWire)
	add("records to other nodes", "kB a second", p.abroad*l.each/1000, p.abroad*l.eachErr/1000)
	memory, err := cs.of(readerMemory).at(p.consoles)
	add("processes, memory with all streams", "MB", memory/1000, err/1000)
	return rows
}
