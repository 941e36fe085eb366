package web

import "testing"

func TestWhatShowsRecordsWaitsUntilRecallsAreCarriedOut(t *testing.T) {
	for path, want := range map[string]bool{
		"/api/v1/records/incident": true, "/api/v1/records/incident/x/attachments/y": true, "/api/v1/search": true, "/api/v1/map/incident": true, "/api/v1/feed": true,
		"/api/v1/audit/entries/7/proof": true, ogcRoot + "/collections/incident/items": true,
		"/api/v1/session": false, "/api/v1/peers": false, "/assets/x.js": false, "/": false,
	} {
		if shows(path) != want {
			t.Errorf("%s: %t", path, !want)
		}
	}
}
