package answer

// Certainty says how sure an observer is of what he saw.
type Certainty string

// Values lists the degrees, least first.
func (Certainty) Values() []string { return []string{"possible", "probable", "certain"} }

// Reliability grades the observer as police do: A completely reliable, E
// unreliable, F cannot be judged.
type Reliability string

// Values lists the grades.
func (Reliability) Values() []string { return []string{"A", "B", "C", "D", "E", "F"} }

// Urgency says how pressing a request is.
type Urgency string

// Urgent is what overtakes the rest on its way.
const Urgent Urgency = "urgent"

// Values lists the urgencies, least first.
func (Urgency) Values() []string { return []string{"routine", "priority", "urgent"} }

// Outcome says how far a reply answers.
type Outcome string

// The outcomes.
const (
	Answer  Outcome = "answer"
	Part    Outcome = "part"
	Refusal Outcome = "refusal"
)

// Values lists the outcomes; the order is no rank.
func (Outcome) Values() []string { return []string{"answer", "part", "refusal"} }
