package desk

import "testing"
import "time"

func TestTimeWithinAPartIsNamedWhereItStands(t *testing.T) {
	type body struct {
		Title string `json:"title" search:"title"`
		Part  struct {
			A    string `json:"a,omitempty"`
			Deep struct {
				At time.Time `json:"at,omitzero"`
			} `json:"deep,omitzero"`
		} `json:"part,omitzero"`
	}
	k := KindOf[body]("thing", Flow{"open": {"shut": "closed"}}, Allow{"shut": Operator}, KeepYears(1))
	for _, raw := range []string{`{"title":"x","part":{"a":"y","deep":{"at":7}}}`, `{"title":"x","part":{"a":"y","deep":{"at":{"x":1}}}}`, `{"title":"x","part":{"deep":{"at":"soon"}}}`} {
		if _, _, f := k.Decode([]byte(raw)); len(f) != 1 || f[0].Path != "body.part.deep.at" {
			t.Errorf("%s: %v", raw, f)
		}
	}
}
