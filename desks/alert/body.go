package alert

import "time"

// Alert is a public alert: what its next message says, and what was sent. Where it is in
// shape, the header's place says it: a polygon, or a point whose uncertainty is the radius
// of a circle. What it is about, such as an incident, is a link of the header.
type Alert struct {
	Event       Event      `json:"event"                  facet:"true"`
	Category    Category   `json:"category"               facet:"true"`
	Severity    Severity   `json:"severity"               facet:"true"`
	Urgency     Urgency    `json:"urgency"                facet:"true"`
	Certainty   Certainty  `json:"certainty"              facet:"true"`
	Response    []Response `json:"responseType,omitempty" facet:"true" max:"9"`
	EventCode   string     `json:"eventCode,omitempty"    max:"3" pattern:"^[A-Z]{3}$" search:"id"` // of the Emergency Alert System; none: by the event
	Effective   *time.Time `json:"effective,omitempty"`                                             // none: from when it is sent
	Onset       *time.Time `json:"onset,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"` // needed to propose it
	Status      Status     `json:"status"                 facet:"true"`
	Scope       Scope      `json:"scope"                  facet:"true"`
	Restriction string     `json:"restriction,omitempty"  max:"500" when:"scope=restricted"` // the rule by which it is limited
	Addresses   []string   `json:"addresses,omitempty"    max:"50"`                          // of what is private
	Note        string     `json:"note,omitempty"         max:"500"`                         // what an exercise or a test is for
	Contact     string     `json:"contact,omitempty"      max:"200"`
	Web         string     `json:"web,omitempty"          max:"500"` // whole address of a page that says more
	Texts       []Text     `json:"texts,omitempty"        max:"4"`
	Areas       []Area     `json:"areas,omitempty"        max:"20"`

	// Commands alone set what follows.
	ProposedBy     string     `json:"proposedBy,omitempty"     max:"200" set:"command"` // "agency/name"
	ProposedAt     *time.Time `json:"proposedAt,omitempty"     set:"command"`
	ApprovedBy     string     `json:"approvedBy,omitempty"     max:"200" set:"command"`
	ApprovedAt     *time.Time `json:"approvedAt,omitempty"     set:"command"`
	OverrideBy     string     `json:"overrideBy,omitempty"     max:"200" set:"command"` // who published it alone
	OverrideAt     *time.Time `json:"overrideAt,omitempty"     set:"command"`
	OverrideGround string     `json:"overrideGround,omitempty" max:"1000" widget:"lines" set:"command"`
	ReviewedBy     string     `json:"reviewedBy,omitempty"     max:"200" set:"command"` // who looked at it afterwards
	ReviewedAt     *time.Time `json:"reviewedAt,omitempty"     set:"command"`
	Messages       []Sent     `json:"messages,omitempty"       max:"100" set:"command"` // as they were sent, the first first

	// Published is the newest message as it was sent, in CAP 1.2: what the public sees,
	// whatever the fields above say since. See InForce.
	Published string `json:"published,omitempty" max:"120000" widget:"hidden" set:"command"`
	// Before is what drop gives back: body and place in JSON as they were before it was revised.
	Before string `json:"before,omitempty" max:"400000" widget:"hidden" set:"command"`
}

// Text is what is read in one language.
type Text struct {
	Language    Language `json:"language"`
	Event       string   `json:"event,omitempty"       max:"35"` // none: the event's own words
	Headline    string   `json:"headline,omitempty"    max:"139"   search:"title"`
	Description string   `json:"description,omitempty" max:"5000"  search:"text" widget:"lines"`
	Instruction string   `json:"instruction,omitempty" max:"3000"  search:"text" widget:"lines"`
	SenderName  string   `json:"senderName,omitempty"  max:"200"`
}

// Area is a part of where it is, beside the shape in the header.
type Area struct {
	Description string   `json:"description"      max:"200" search:"text"`
	PCodes      []string `json:"pcodes,omitempty" max:"60" search:"text" pattern:"^([a-z0-9-]{1,40}:)?[A-Z]{2,3}[A-Z0-9]{0,12}$"` // as record.PCode
}

// Sent names a message that was sent, so that later ones can refer to it (CAP 1.2
// §3.2.1 references).
type Sent struct {
	Identifier string    `json:"identifier" max:"120" search:"id"`
	Sent       time.Time `json:"sent"` // with the offset that it was sent with
	MsgType    Sort      `json:"msgType"`
	Version    int       `json:"version" max:"100"` // 1 for the first
}
