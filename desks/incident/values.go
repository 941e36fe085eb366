package incident

// Category says what sort of event it is.
type Category string

// The categories that the code treats apart from others.
const (
	ArmedClash     Category = "armed-clash"
	Shooting       Category = "shooting"
	Kidnapping     Category = "kidnapping"
	Robbery        Category = "robbery"
	Looting        Category = "looting"
	Assault        Category = "assault"
	SexualViolence Category = "sexual-violence"
	Trafficking    Category = "trafficking"
	MissingPerson  Category = "missing-person"
	Contraband     Category = "contraband"
)

// Values lists the categories, related ones together; the order is no rank.
func (Category) Values() []string {
	return []string{
		"armed-clash", "shooting", "kidnapping", "robbery", "looting", "assault", "sexual-violence", "trafficking",
		"contraband", "border", "vessel", "protest", "road-blocked", "traffic",
		"fire", "medical", "disease", "missing-person", "body-found", "rescue", "displacement",
		"flood", "landslide", "storm", "earthquake", "building-collapse",
		"water", "food", "shelter", "health", "power", "fuel", "infrastructure", "other",
	}
}

func violent(c Category) bool {
	switch c {
	case ArmedClash, Shooting, Kidnapping, Robbery, Looting, Assault, SexualViolence, Trafficking, Contraband:
		return true
	}
	return false
}

// Severity ranks what an event does to people.
type Severity string

// The severities that need somebody's eyes soon.
const (
	Severe  Severity = "severe"
	Extreme Severity = "extreme"
)

// Values lists the severities, least first.
func (Severity) Values() []string { return []string{"info", "minor", "moderate", "severe", "extreme"} }

// Need is a sort of help that is asked for.
type Need string

// Values lists the needs; the order is no rank.
func (Need) Values() []string {
	return []string{
		"police", "ambulance", "fire-service", "rescue", "boat", "evacuation", "transport", "protection",
		"water", "food", "shelter", "medicine", "hygiene", "power", "fuel", "engineer", "interpreter",
	}
}

// Language is the language of the report.
type Language string

// Values lists the languages of the region.
func (Language) Values() []string { return []string{"ht", "fr", "es", "en"} }

// SourceType says by which way a report came.
type SourceType string

// Import is the source of what was read from a file of another system.
const Import SourceType = "import"

// Values lists the ways; the order is no rank.
func (SourceType) Values() []string {
	return []string{"call", "sms", "web", "officer", "patrol", "partner", "media", "sensor", "social", "import"}
}

// Reliability grades the source as police do: A completely reliable, E
// unreliable, F cannot be judged.
type Reliability string

// Values lists the grades.
func (Reliability) Values() []string { return []string{"A", "B", "C", "D", "E", "F"} }

// Credibility grades the content: 1 confirmed by others, 5 improbable, 6 cannot
// be judged.
type Credibility string

// Values lists the grades.
func (Credibility) Values() []string { return []string{"1", "2", "3", "4", "5", "6"} }
