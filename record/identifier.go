package record

// Identifier names a thing or a person as others know it, too: a body that holds
// a list of these can be asked about by other nodes without being told.
type Identifier struct {
	Type  IdentifierType `json:"type"`
	Value string         `json:"value"          max:"60"  search:"id" identifier:"@type"`
	Note  string         `json:"note,omitempty" max:"200" search:"text"`
}

// IdentifierType says what sort of thing it names.
type IdentifierType string

// The types. A desk may declare fields of others; see the tag identifier of
// desk.Field.
const (
	Plate     IdentifierType = "plate"
	Passport  IdentifierType = "passport"
	Firearm   IdentifierType = "firearm" // the serial number
	Telephone IdentifierType = "telephone"
	Vessel    IdentifierType = "vessel" // IMO number, MMSI, or a mark of registry
)

// Values lists the types; the order is no rank.
func (IdentifierType) Values() []string {
	return []string{string(Plate), string(Passport), string(Firearm), string(Telephone), string(Vessel)}
}
