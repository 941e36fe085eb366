package cap

import "slices"

// The values of the elements that have a closed list (CAP 1.2 §3.2). The tags of
// Alert and Info say the same.
var (
	statuses      = []string{"Actual", "Exercise", "System", "Test", "Draft"}
	msgTypes      = []string{"Alert", "Update", "Cancel", "Ack", "Error"}
	scopes        = []string{"Public", "Restricted", "Private"}
	categories    = []string{"Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"}
	responseTypes = []string{"Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"}
	urgencies     = []string{"Immediate", "Expected", "Future", "Past", unknown}
	severities    = []string{"Extreme", "Severe", "Moderate", "Minor", unknown}
	certainties   = []string{"Observed", "Likely", "Possible", "Unlikely", unknown}
)

const unknown = "Unknown"

// later are values that came after CAP 1.0, with the version in which they came.
var later = map[string]string{"Draft": Version11, "CBRNE": Version11, "Observed": Version11, "Avoid": Version12, "AllClear": Version12}

// veryLikely is how CAP 1.0 called what is Likely since (CAP 1.2 §3.2.2 certainty).
const veryLikely = "Very Likely"

// valuesIn returns the values of list that a version has.
func valuesIn(list []string, version string) []string {
	if version == Version12 {
		return list
	}
	var out []string
	for _, v := range list {
		if later[v] <= version {
			out = append(out, v)
		}
	}
	if version == Version10 && slices.Contains(list, "Observed") {
		return append([]string{veryLikely}, out...)
	}
	return out
}
