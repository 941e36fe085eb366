package missing

import (
	"time"

	"konbit/record"
)

// Person is somebody who is missing. Where and when he was last seen is the
// header's place, with its uncertainty, and observed. Photographs are attachments.
type Person struct {
	Name       string   `json:"name"                 max:"200" search:"title" names:"true"`
	OtherNames []string `json:"otherNames,omitempty" max:"20" search:"text" names:"true"` // variants and nicknames
	Sex        Sex      `json:"sex,omitempty"        facet:"true"`

	// How old: in years when last seen, a span where nobody knows better, and when
	// born: "2016", "2016-05" or "2016-05-31".
	Age    *int   `json:"age,omitempty"    min:"0" max:"120" unit:"years" facet:"true"`
	AgeMin *int   `json:"ageMin,omitempty" min:"0" max:"120" unit:"years"`
	AgeMax *int   `json:"ageMax,omitempty" min:"0" max:"120" unit:"years"`
	Born   string `json:"born,omitempty"   max:"10" pattern:"^(19|20)[0-9]{2}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$" search:"id"`
	Home   string `json:"home,omitempty"   max:"200" search:"text"` // where he lives, in words

	Description   Description `json:"description,omitzero"`
	Category      Category    `json:"category"                facet:"true"`
	Circumstances string      `json:"circumstances,omitempty" max:"10000" search:"text" widget:"lines"`
	Companions    []Companion `json:"companions,omitempty"    max:"20"`
	Vehicles      []Vehicle   `json:"vehicles,omitempty"      max:"10"`
	Consent       Consent     `json:"consent,omitzero"`
	ConsentAt     *time.Time  `json:"consentAt,omitempty"` // when it was given
	Reporter      Reporter    `json:"reporter,omitzero"`
	Announce      Announce    `json:"announce,omitzero"`

	// Commands alone set what follows.
	Minor       bool         `json:"minor,omitempty"       set:"command"` // 17 or under when last seen, by what born and observed say together
	Proposal    Proposal     `json:"proposal,omitzero"`
	Notice      Notice       `json:"notice,omitzero"`
	Assessments []Assessment `json:"assessments,omitempty" set:"command" max:"20"` // the last one by each rule set
	Alerts      []Sort       `json:"alerts,omitempty"      set:"command" max:"3" facet:"true"`
	Outcome     Outcome      `json:"outcome,omitzero"`
}

// Description is what somebody looks like.
type Description struct {
	Height    *int     `json:"height,omitempty"   min:"20" max:"260" unit:"cm"`
	Build     Build    `json:"build,omitempty"    facet:"true"`
	Hair      Hair     `json:"hair,omitempty"     facet:"true"`
	Eyes      Eyes     `json:"eyes,omitempty"     facet:"true"`
	Marks     string   `json:"marks,omitempty"    max:"1000" search:"text" widget:"lines"`
	Clothing  string   `json:"clothing,omitempty" max:"1000" search:"text" widget:"lines"`
	Languages []Speech `json:"languages,omitzero" max:"8" facet:"true"`
}

// Companion is somebody who may be with the person.
type Companion struct {
	Name        string `json:"name,omitempty"        max:"200" search:"text"`
	Relation    string `json:"relation,omitempty"    max:"100"`
	Description string `json:"description,omitempty" max:"1000" search:"text"`
}

// Vehicle is what the person may travel in.
type Vehicle struct {
	Make   string `json:"make,omitempty"   max:"100" search:"text"`
	Colour string `json:"colour,omitempty" max:"60"`
	Plate  string `json:"plate,omitempty"  max:"20" search:"id" identifier:"plate"`
}

// Consent says who agreed to what may be published.
type Consent struct {
	By         string   `json:"by,omitempty"         max:"200"`
	Relation   Relation `json:"relation,omitempty"`
	Name       bool     `json:"name,omitempty"`       // the name may be published
	Photograph bool     `json:"photograph,omitempty"` // a photograph may be published
}

// Reporter says who reported it.
type Reporter struct {
	Type ReporterType `json:"type,omitempty" facet:"true"`
	Name string       `json:"name,omitempty" max:"200"`
	// Callback is his telephone: digits, with a leading "+" where the country is known.
	Callback     string `json:"callback,omitempty" max:"16" pattern:"^[+]?[0-9]{3,15}$" search:"id" widget:"phone"`
	Confidential bool   `json:"confidential,omitempty"` // who said it must not become known
}

// Announce is what is meant for the public and nowhere else in the record. Nobody
// sees it before approve has made a Notice of it.
type Announce struct {
	Area       string    `json:"area,omitempty"       max:"200"` // roughly where; needed for a child
	Contact    string    `json:"contact,omitempty"    max:"200"` // whom to tell
	Texts      []Wording `json:"texts,omitzero"       max:"4"`
	Photograph string    `json:"photograph,omitempty" max:"64" pattern:"^[0-9a-f]{64}$"` // which attachment
}

// Wording is a text in a language.
type Wording struct {
	Language Language `json:"language"`
	Text     string   `json:"text" max:"1000" widget:"lines"`
}

// seconds is how commands write a time.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Proposal is a notice that waits for a second person.
type Proposal struct {
	By string    `json:"by,omitempty" max:"200" set:"command"` // "agency/name"
	At time.Time `json:"at,omitzero" set:"command"`
}

// Notice is what the public sees, as it was when a second person approved it;
// later edits do not change it. It is empty when nothing is published.
type Notice struct {
	Name       string    `json:"name,omitempty"       max:"200" set:"command"` // with consent
	Age        string    `json:"age,omitempty"        max:"20"  set:"command"` // "9", "8–10", "60+"
	Sex        Sex       `json:"sex,omitempty"        set:"command"`
	Height     *int      `json:"height,omitempty"     min:"20" max:"260" unit:"cm" set:"command"`
	Build      Build     `json:"build,omitempty"      set:"command"`
	Hair       Hair      `json:"hair,omitempty"       set:"command"`
	Eyes       Eyes      `json:"eyes,omitempty"       set:"command"`
	Marks      string    `json:"marks,omitempty"      max:"1000" widget:"lines" set:"command"`
	Clothing   string    `json:"clothing,omitempty"   max:"1000" widget:"lines" set:"command"`
	Languages  []Speech  `json:"languages,omitzero"   max:"8" set:"command"`
	Since      time.Time `json:"since,omitzero" set:"command"`
	Area       string    `json:"area,omitempty"       max:"500" set:"command"` // words: never a position
	PCode      string    `json:"pcode,omitempty"      max:"15"  set:"command"` // of the area
	Texts      []Wording `json:"texts,omitzero"       max:"4"   set:"command"`
	Photograph string    `json:"photograph,omitempty" max:"64" pattern:"^[0-9a-f]{64}$" set:"command"` // with consent
	Contact    string    `json:"contact,omitempty"    max:"200" set:"command"`

	ProposedBy string    `json:"proposedBy,omitempty" max:"200" set:"command"`
	ProposedAt time.Time `json:"proposedAt,omitzero" set:"command"`
	ApprovedBy string    `json:"approvedBy,omitempty" max:"200" set:"command"`
	ApprovedAt time.Time `json:"approvedAt,omitzero" set:"command"`
}

// Outcome is how it ended.
type Outcome struct {
	End       End       `json:"end,omitempty"       facet:"true" set:"command"`
	Condition Condition `json:"condition,omitempty" facet:"true" set:"command"` // of whoever was found
	When      time.Time `json:"when,omitzero" set:"command"`
	Where     string    `json:"where,omitempty"     max:"500"  set:"command"`
	Ground    string    `json:"ground,omitempty"    max:"2000" widget:"lines" set:"command"` // of a death: on what it rests
	Authority string    `json:"authority,omitempty" max:"200"  set:"command"`                // of a death: who declared it
	Reason    Reason    `json:"reason,omitempty"    set:"command"`                           // of a cancelled case

	By          string    `json:"by,omitempty"          max:"200" set:"command"` // who gave the command
	At          time.Time `json:"at,omitzero" set:"command"`
	ConfirmedBy string    `json:"confirmedBy,omitempty" max:"200" set:"command"` // of a death: the second person
	ConfirmedAt time.Time `json:"confirmedAt,omitzero" set:"command"`
}

// Assessment holds a person against the criteria of a rule set as they were.
type Assessment struct {
	Rules     record.ID `json:"rules"`
	Version   int       `json:"version"` // of the rule set
	Sort      Sort      `json:"sort"`
	Name      string    `json:"name"  max:"200"`
	Items     []Finding `json:"items,omitempty" max:"50"` // every criterion, in the rule set's order
	Fulfilled bool      `json:"fulfilled,omitempty"`
	By        string    `json:"by" max:"200"`
	At        time.Time `json:"at"`
}

// Finding says whether one criterion is met, and how we know.
type Finding struct {
	Item     string `json:"item" max:"40" pattern:"^[a-z0-9-]{1,40}$"` // code of the criterion
	Met      Met    `json:"met"`
	Evidence string `json:"evidence,omitempty" max:"1000" widget:"lines"`
}

// Rules is a set of criteria for one sort of alert. An agency edits it as its law
// and its experience say; the ledger keeps every version.
type Rules struct {
	Sort  Sort   `json:"sort"  facet:"true"`
	Name  string `json:"name"  max:"200" search:"title"`
	Items []Item `json:"items" min:"1" max:"50"`
}

// Item is a criterion.
type Item struct {
	Code     string `json:"code" max:"40" pattern:"^[a-z0-9-]{1,40}$"`
	Text     Words  `json:"text"`
	Required bool   `json:"required,omitempty"` // else it helps to judge and decides nothing
}

// Words is a text in the four languages.
type Words struct {
	HT string `json:"ht" max:"500" search:"text"`
	FR string `json:"fr" max:"500" search:"text"`
	ES string `json:"es" max:"500" search:"text"`
	EN string `json:"en" max:"500" search:"text"`
}

// Sighting is what somebody saw or heard of a missing person; where and when are
// in the header.
type Sighting struct {
	Text       string      `json:"text"                 max:"5000" search:"title" widget:"lines"`
	Confidence Confidence  `json:"confidence"           facet:"true"`
	Grade      Reliability `json:"grade,omitempty"      facet:"true"`
	Content    Credibility `json:"content,omitempty"    facet:"true"`
	Direction  string      `json:"direction,omitempty"  max:"200" search:"text"` // which way he went
	Travel     Travel      `json:"travel,omitempty"     facet:"true"`
	Companions string      `json:"companions,omitempty" max:"1000" search:"text" widget:"lines"`
	Child      bool        `json:"child,omitempty"` // the person is a child
	Reporter   Reporter    `json:"reporter,omitzero"`
}

// Unidentified is somebody who was found and does not know or cannot say who he
// is, or a body. Where and when is in the header, photographs are attachments.
type Unidentified struct {
	Title  string   `json:"title"            max:"200" search:"title"`             // in a line: "girl of about 6, blue dress"
	Names  []string `json:"names,omitempty"  max:"20"  search:"text" names:"true"` // that he gives, or that others call him
	Alive  Alive    `json:"alive"            facet:"true"`
	Sex    Sex      `json:"sex,omitempty"    facet:"true"`
	Age    *int     `json:"age,omitempty"    min:"0" max:"120" unit:"years" facet:"true"`
	AgeMin *int     `json:"ageMin,omitempty" min:"0" max:"120" unit:"years"`
	AgeMax *int     `json:"ageMax,omitempty" min:"0" max:"120" unit:"years"`

	Description   Description `json:"description,omitzero"`
	Condition     Condition   `json:"condition,omitempty"     facet:"true"`
	Held          string      `json:"held,omitempty"          max:"500" search:"text"` // where he is now: a hospital, a shelter, a morgue
	Circumstances string      `json:"circumstances,omitempty" max:"10000" search:"text" widget:"lines"`
	Victim        bool        `json:"victim,omitempty"` // somebody harmed, took or sold him, as far as it looks
	Reporter      Reporter    `json:"reporter,omitzero"`
}

// Medical is what whoever finds the person must know.
type Medical struct {
	Condition string `json:"condition"          max:"500"  search:"title"`
	Medicine  string `json:"medicine,omitempty" max:"1000" search:"text" widget:"lines"`
	Hours     *int   `json:"hours,omitempty"    min:"0" max:"8760" unit:"hours"` // he comes to harm after so long without it
	Act       string `json:"act,omitempty"      max:"2000" search:"text" widget:"lines"`
	Child     bool   `json:"child,omitempty"` // the person is a child
}

// Report is what a resident sent on the public page, before anybody has looked.
// When and where is what he says, in words, and the header's observed.
type Report struct {
	Name      string      `json:"name"                max:"200"  search:"title" names:"true"`
	Age       *int        `json:"age,omitempty"       min:"0" max:"120" unit:"years"`
	Text      string      `json:"text,omitempty"      max:"5000" search:"text" widget:"lines"`
	LastSeen  string      `json:"lastSeen,omitempty"  max:"500"  search:"text"`
	Telephone string      `json:"telephone,omitempty" max:"30"   search:"id" widget:"phone"` // as he wrote it
	Language  Language    `json:"language,omitempty"  facet:"true"`
	Sender    string      `json:"sender,omitempty"    max:"64" pattern:"^[0-9a-f]{16,64}$" search:"id"` // hash of the address that it came from
	Score     []Suspicion `json:"score,omitempty"     max:"10" facet:"true"`
}
