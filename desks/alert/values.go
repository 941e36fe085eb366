package alert

// Event is what happens. Its words stand in labels.yaml; none is longer than the 35
// characters that receivers show.
type Event string

// The events that the code treats apart from others.
const (
	Flood          Event = "flood"
	Landslide      Event = "landslide"
	TropicalStorm  Event = "tropical-storm"
	Hurricane      Event = "hurricane"
	Earthquake     Event = "earthquake"
	Tsunami        Event = "tsunami"
	Fire           Event = "fire"
	ShelterInPlace Event = "shelter-in-place"
	CivilEmergency Event = "civil-emergency"
	WaterUnsafe    Event = "water-unsafe"
	Disease        Event = "disease"
	ChildAbduction Event = "child-abduction"
	MissingElder   Event = "missing-elder"
)

// Values lists the events, related ones together; the order is no rank.
func (Event) Values() []string {
	return []string{
		"flood", "flash-flood", "landslide", "tropical-storm", "hurricane", "storm-surge", "thunderstorm", "tornado", "high-wind",
		"heat", "drought", "earthquake", "tsunami", "volcano", "fire", "wildfire", "explosion", "hazmat", "radiological", "dam-break",
		"civil-danger", "civil-emergency", "local-emergency", "law-enforcement", "shelter-in-place", "evacuation",
		"disease", "water-unsafe", "power-outage", "telephone-outage",
		"child-abduction", "missing-endangered", "missing-elder", "exercise", "test",
	}
}

// same are the event codes of the Emergency Alert System (47 CFR 11.31(e)) for the events
// that have one there.
var same = map[Event]string{
	"flood": "FLW", "flash-flood": "FFW", "tropical-storm": "TRW", "hurricane": "HUW", "storm-surge": "SSW", "thunderstorm": "SVR",
	"tornado": "TOR", "high-wind": "HWW", "earthquake": "EQW", "tsunami": "TSW", "volcano": "VOW", "fire": "FRW", "wildfire": "FRW",
	"hazmat": "HMW", "radiological": "RHW", "civil-danger": "CDW", "civil-emergency": "CEM", "local-emergency": "LAE",
	"law-enforcement": "LEW", "shelter-in-place": "SPW", "evacuation": "EVI", "telephone-outage": "TOE",
	"child-abduction": "CAE", "missing-endangered": "MEP", "missing-elder": "MEP", "exercise": "DMO", "test": "RWT",
}

// Category is the sort of event (CAP 1.2 §3.2.2 category).
type Category string

// Values lists the categories; the order is no rank.
func (Category) Values() []string {
	return []string{"geo", "met", "safety", "security", "rescue", "fire", "health", "env", "transport", "infra", "cbrne", "other"}
}

// Status says whether it is meant (CAP 1.2 §3.2.1 status).
type Status string

// The statuses. Exercises and tests never reach the public.
const (
	Actual   Status = "actual"
	Exercise Status = "exercise"
	Test     Status = "test"
)

// Values lists the statuses; the order is no rank.
func (Status) Values() []string { return []string{string(Actual), string(Exercise), string(Test)} }

// Scope says for whom it is (CAP 1.2 §3.2.1 scope).
type Scope string

// The scopes. Only what is for the public is published.
const (
	Public     Scope = "public"
	Restricted Scope = "restricted"
	Private    Scope = "private"
)

// Values lists the scopes, the widest first.
func (Scope) Values() []string { return []string{string(Public), string(Restricted), string(Private)} }

// Urgency says how soon people must act (CAP 1.2 §3.2.2).
type Urgency string

// The urgencies that the code treats apart from others: Immediate is now, Expected within
// the hour.
const (
	Immediate Urgency = "immediate"
	Expected  Urgency = "expected"
)

// Values lists the urgencies, least first.
func (Urgency) Values() []string {
	return []string{"unknown", "past", "future", string(Expected), string(Immediate)}
}

// Severity ranks the threat to life and property (CAP 1.2 §3.2.2).
type Severity string

// The severities that the code treats apart from others.
const (
	Moderate Severity = "moderate"
	Severe   Severity = "severe"
	Extreme  Severity = "extreme"
)

// Values lists the severities, least first.
func (Severity) Values() []string {
	return []string{"unknown", "minor", string(Moderate), string(Severe), string(Extreme)}
}

// Certainty says how sure it is (CAP 1.2 §3.2.2).
type Certainty string

// The certainties that the code treats apart from others.
const (
	Likely   Certainty = "likely"
	Observed Certainty = "observed"
)

// Values lists the certainties, least first.
func (Certainty) Values() []string {
	return []string{"unknown", "unlikely", "possible", string(Likely), string(Observed)}
}

// Response is what people are told to do (CAP 1.2 §3.2.2 responseType).
type Response string

// The responses that templates give.
const (
	Shelter  Response = "shelter"
	Evacuate Response = "evacuate"
	Prepare  Response = "prepare"
	Execute  Response = "execute"
	Avoid    Response = "avoid"
	Monitor  Response = "monitor"
)

// Values lists the responses; the order is no rank.
func (Response) Values() []string {
	return []string{"shelter", "evacuate", "prepare", "execute", "avoid", "monitor", "assess", "all-clear", "none"}
}

// Language is the language of a text.
type Language string

// Values lists the languages of the region.
func (Language) Values() []string { return []string{"ht", "fr", "es", "en"} }

// Sort is what a message is (CAP 1.2 §3.2.1 msgType).
type Sort string

// The sorts of messages.
const (
	First  Sort = "alert"
	Update Sort = "update"
	Cancel Sort = "cancel"
)

// Values lists the sorts, in the order in which they are sent.
func (Sort) Values() []string { return []string{string(First), string(Update), string(Cancel)} }
