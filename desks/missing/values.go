package missing

// Sex is the sex of a person, as PFIF 1.4 §4.1 has it; "" is not known.
type Sex string

// Values lists them; the order is no rank.
func (Sex) Values() []string { return []string{"female", "male", "other"} }

// Category says how somebody came to be missing.
type Category string

// The categories that the code treats apart from others.
const (
	Runaway     Category = "runaway"
	Abducted    Category = "abducted" // by a stranger
	Family      Category = "family"   // taken by a parent or a relative
	Trafficking Category = "trafficking"
)

// Values lists the categories; the order is no rank.
func (Category) Values() []string {
	return []string{"lost", "runaway", "abducted", "family", "trafficking", "disaster", "migration", "sea", "conflict", "unknown"}
}

// Build is the build of a body.
type Build string

// Values lists the builds, slightest first.
func (Build) Values() []string { return []string{"slim", "medium", "strong", "heavy"} }

// Hair is what is seen of somebody's hair.
type Hair string

// Values lists them; the order is no rank.
func (Hair) Values() []string {
	return []string{"black", "brown", "blond", "red", "grey", "white", "dyed", "braids", "locks", "shaved", "bald", "covered"}
}

// Eyes is the colour of somebody's eyes.
type Eyes string

// Values lists them; the order is no rank.
func (Eyes) Values() []string { return []string{"black", "brown", "hazel", "green", "blue", "grey"} }

// Speech is a language that somebody speaks or signs.
type Speech string

// Values lists those of the region; the order is no rank.
func (Speech) Values() []string {
	return []string{"ht", "fr", "es", "en", "pt", "sign", "other", "none"}
}

// Language is a language of what is written.
type Language string

// Values lists the languages of the region.
func (Language) Values() []string { return []string{"ht", "fr", "es", "en"} }

// ReporterType says who reported somebody missing or seen.
type ReporterType string

// The reporters that are people without an office.
const (
	Call     ReporterType = "call"
	Resident ReporterType = "resident"
)

// Values lists them; the order is no rank.
func (ReporterType) Values() []string { return []string{"officer", "call", "resident", "partner"} }

// Relation says what whoever consents is to the person.
type Relation string

// Values lists the relations; an authority consents where the law lets it.
func (Relation) Values() []string {
	return []string{"self", "parent", "guardian", "spouse", "relative", "authority"}
}

// Condition is how somebody was found.
type Condition string

// Values lists the conditions; the order is no rank.
func (Condition) Values() []string { return []string{"safe", "injured", "in-care", "other"} }

// Reason says why a case is cancelled.
type Reason string

// Values lists the reasons; the order is no rank.
func (Reason) Values() []string { return []string{"duplicate", "mistake", "false", "family", "other"} }

// End says how a case ended.
type End string

// The ends.
const (
	Found     End = "found"
	Declared  End = "declared" // dead, and nobody has confirmed it
	Deceased  End = "deceased"
	Cancelled End = "cancelled"
)

// Values lists the ends; the order is no rank.
func (End) Values() []string {
	return []string{string(Found), string(Declared), string(Deceased), string(Cancelled)}
}

// Sort is a sort of alert.
type Sort string

// The sorts.
const (
	Amber      Sort = "amber"      // a child was abducted
	Elder      Sort = "elder"      // an old or impaired person
	Endangered Sort = "endangered" // anybody else in danger: CAP event code MEP, of a child CAE
)

// Values lists the sorts; the order is no rank.
func (Sort) Values() []string { return []string{string(Amber), string(Elder), string(Endangered)} }

// Met says whether a criterion is met.
type Met string

// The answers.
const (
	Yes     Met = "yes"
	No      Met = "no"
	Unknown Met = "unknown"
)

// Values lists the answers; the order is no rank.
func (Met) Values() []string { return []string{string(Yes), string(No), string(Unknown)} }

// Alive says whether somebody who was found lives.
type Alive string

// Values lists the answers; the order is no rank.
func (Alive) Values() []string { return []string{"alive", "dead"} }

// Confidence says how sure an observer is that it was the person.
type Confidence string

// Values lists the degrees, least first.
func (Confidence) Values() []string { return []string{"possible", "likely", "sure"} }

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

// Suspicion is a reason to look twice at what came from the public page.
type Suspicion string

// Values lists the reasons; the order is no rank.
func (Suspicion) Values() []string { return []string{"flood", "insult", "duplicate"} }
