package cap

// A rule is one element of a sequence of the schema.
type rule struct {
	name string
	must bool
	many bool
}

// A shape is what may stand in an element, in this order.
type shape []rule

// shapes are the sequences of one version, as its schema has them (CAP 1.0, 1.1
// and 1.2, appendix A).
type shapes struct{ alert, info, resource, area shape }

var pair = shape{{name: "valueName", must: true}, {name: "value", must: true}}

func shapesOf(version string) *shapes {
	switch version {
	case Version10:
		return &shapes10
	case Version11:
		return &shapes11
	}
	return &shapes12
}

var (
	shapes12 = shapes{
		alert: shape{
			{name: "identifier", must: true}, {name: "sender", must: true}, {name: "sent", must: true},
			{name: "status", must: true}, {name: "msgType", must: true}, {name: "source"},
			{name: "scope", must: true}, {name: "restriction"}, {name: "addresses"}, {name: "code", many: true},
			{name: "note"}, {name: "references"}, {name: "incidents"}, {name: "info", many: true},
		},
		info: shape{
			{name: "language"}, {name: "category", must: true, many: true}, {name: "event", must: true},
			{name: "responseType", many: true}, {name: "urgency", must: true}, {name: "severity", must: true},
			{name: "certainty", must: true}, {name: "audience"}, {name: "eventCode", many: true},
			{name: "effective"}, {name: "onset"}, {name: "expires"}, {name: "senderName"}, {name: "headline"},
			{name: "description"}, {name: "instruction"}, {name: "web"}, {name: "contact"},
			{name: "parameter", many: true}, {name: "resource", many: true}, {name: "area", many: true},
		},
		resource: shape{
			{name: "resourceDesc", must: true}, {name: "mimeType", must: true}, {name: "size"}, {name: "uri"},
			{name: "derefUri"}, {name: "digest"},
		},
		area: shape{
			{name: "areaDesc", must: true}, {name: "polygon", many: true}, {name: "circle", many: true},
			{name: "geocode", many: true}, {name: "altitude"}, {name: "ceiling"},
		},
	}
	shapes11 = shapes{
		alert:    shapes12.alert,
		info:     shapes12.info,
		resource: shapes12.resource.lax("mimeType"),
		area:     shapes12.area,
	}
	shapes10 = shapes{
		alert:    append(append(append(shape{}, shapes12.alert[:5]...), rule{name: "password"}), shapes12.alert.lax("scope")[5:]...),
		info:     shapes12.info.lax("category").without("responseType"),
		resource: shapes11.resource.without("derefUri"),
		area:     shapes12.area,
	}
)

// lax is s with an element that may be left out.
func (s shape) lax(name string) shape {
	out := append(shape{}, s...)
	for i := range out {
		out[i].must = out[i].must && out[i].name != name
	}
	return out
}

func (s shape) without(name string) shape {
	var out shape
	for _, r := range s {
		if r.name != name {
			out = append(out, r)
		}
	}
	return out
}

// find returns the position of an element in the shape, -1 when it has no place
// there. It looks from from onwards first, where it is most of the time.
func (s shape) find(name string, from int) int {
	for i := from; i < len(s); i++ {
		if s[i].name == name {
			return i
		}
	}
	for i := range min(from, len(s)) {
		if s[i].name == name {
			return i
		}
	}
	return -1
}
