// Package cap is the codec for the Common Alerting Protocol: CAP 1.2 (OASIS,
// ITU-T X.1303), 1.1 and 1.0 are read, 1.2 is written.
//
//   - Parse reads a document and lists everything in which it breaks the schema.
//   - Check lists what keeps an alert from going out, beyond the schema.
//   - Append writes an alert, Sign and Verify are its signature (XML-DSig).
//   - ParseFeed, AppendAtom and AppendRSS are how alerts are handed out.
//   - Simplify and SelfCrosses are about the rings of its areas.
//   - Short and Spoken are what people read on a telephone and hear on the radio.
//
// Documents come from strangers. One strict reader (document.go) stands under
// all of this, so that what is verified is what is parsed: it knows no document
// types and no entities but the five of XML, opens nothing, and takes
// time and memory in proportion to the document. A signature that holds says
// that the holder of a key signed these words, and no more: whose key it is, and
// whether to believe him, is for the caller to say.
//
// The package is pure: bytes in, values out.
package cap

import "time"

// Versions of the protocol that are read, by what Alert.Version says.
const (
	Version10 = "1.0"
	Version11 = "1.1"
	Version12 = "1.2"
)

// Alert is one CAP message (CAP 1.2 §3.2.1). Its JSON is the body of the API. An
// empty string, an empty list or the zero time is an element that is not there.
type Alert struct {
	Version     string      `json:"version,omitempty" enum:"1.0,1.1,1.2" doc:"CAP version of the document that was read; 1.2 is written"`
	Identifier  string      `json:"identifier" doc:"Unique for the sender; no spaces, commas, < or &"`
	Sender      string      `json:"sender" doc:"Unique in the world, such as a domain name; no spaces, commas, < or &"`
	Sent        time.Time   `json:"sent"`
	Status      string      `json:"status" enum:"Actual,Exercise,System,Test,Draft"`
	MsgType     string      `json:"msgType" enum:"Alert,Update,Cancel,Ack,Error"`
	Source      string      `json:"source,omitempty" doc:"The operator or the device that made it"`
	Scope       string      `json:"scope,omitempty" enum:"Public,Restricted,Private" doc:"Mandatory but in CAP 1.0"`
	Restriction string      `json:"restriction,omitempty" doc:"The rule for limiting it, when the scope is Restricted"`
	Addresses   []string    `json:"addresses,omitempty" doc:"Recipients; needed when the scope is Private"`
	Code        []string    `json:"code,omitempty" doc:"Special handling: profiles that the message follows"`
	Note        string      `json:"note,omitempty" doc:"Purpose of an exercise or a test, reason of an error"`
	References  []Reference `json:"references,omitempty" doc:"Earlier messages that this one is about"`
	Incidents   []string    `json:"incidents,omitempty" doc:"Names of incidents that it belongs to"`
	Info        []Info      `json:"info,omitempty"`
}

// Reference names an earlier message (CAP 1.2 §3.2.1 references). Sent is zero in
// CAP 1.0, which does not have it.
type Reference struct {
	Sender     string    `json:"sender"`
	Identifier string    `json:"identifier"`
	Sent       time.Time `json:"sent,omitzero"`
}

// Info tells about the event, in one language and for one set of areas (CAP 1.2 §3.2.2).
type Info struct {
	Language     string     `json:"language,omitempty" doc:"RFC 3066; none means en-US"`
	Category     []string   `json:"category" enum:"Geo,Met,Safety,Security,Rescue,Fire,Health,Env,Transport,Infra,CBRNE,Other"`
	Event        string     `json:"event"`
	ResponseType []string   `json:"responseType,omitempty" enum:"Shelter,Evacuate,Prepare,Execute,Avoid,Monitor,Assess,AllClear,None"`
	Urgency      string     `json:"urgency" enum:"Immediate,Expected,Future,Past,Unknown"`
	Severity     string     `json:"severity" enum:"Extreme,Severe,Moderate,Minor,Unknown"`
	Certainty    string     `json:"certainty" enum:"Observed,Likely,Possible,Unlikely,Unknown"`
	Audience     string     `json:"audience,omitempty"`
	EventCode    []Value    `json:"eventCode,omitempty"`
	Effective    time.Time  `json:"effective,omitzero" doc:"From when the message holds; none: from when it was sent"`
	Onset        time.Time  `json:"onset,omitzero" doc:"When the event is expected to begin"`
	Expires      time.Time  `json:"expires,omitzero"`
	SenderName   string     `json:"senderName,omitempty"`
	Headline     string     `json:"headline,omitempty"`
	Description  string     `json:"description,omitempty"`
	Instruction  string     `json:"instruction,omitempty"`
	Web          string     `json:"web,omitempty" doc:"Absolute URI of a page that says more"`
	Contact      string     `json:"contact,omitempty"`
	Parameter    []Value    `json:"parameter,omitempty"`
	Resource     []Resource `json:"resource,omitempty"`
	Area         []Area     `json:"area,omitempty"`
}

// Value is a named value: an event code, a parameter or a geocode. CAP 1.0 has
// "name=value" instead.
type Value struct {
	ValueName string `json:"valueName"`
	Value     string `json:"value"`
}

// Resource is a file that goes with the message (CAP 1.2 §3.2.3).
type Resource struct {
	ResourceDesc string `json:"resourceDesc"`
	MimeType     string `json:"mimeType" doc:"Mandatory since CAP 1.2"`
	Size         *int64 `json:"size,omitempty" doc:"Bytes, about"`
	URI          string `json:"uri,omitempty"`
	DerefURI     string `json:"derefUri,omitempty" doc:"The file itself in base64, for one-way links"`
	Digest       string `json:"digest,omitempty" doc:"SHA-1 of the file, hexadecimal"`
}

// Area is where the event is (CAP 1.2 §3.2.4). It is the union of its shapes.
type Area struct {
	AreaDesc string    `json:"areaDesc"`
	Polygon  [][]Point `json:"polygon,omitempty" doc:"Closed rings: the last point is the first"`
	Circle   []Circle  `json:"circle,omitempty"`
	Geocode  []Value   `json:"geocode,omitempty"`
	Altitude *float64  `json:"altitude,omitempty" doc:"Feet above mean sea level; the lower end when there is a ceiling"`
	Ceiling  *float64  `json:"ceiling,omitempty" doc:"Feet above mean sea level"`
}

// Point is a place in degrees, WGS 84. The document has the latitude first.
type Point struct {
	Lon float64 `json:"lon"`
	Lat float64 `json:"lat"`
}

// Circle is a place and a radius around it in kilometres.
type Circle struct {
	Center Point   `json:"center"`
	Radius float64 `json:"radius" doc:"Kilometres"`
}

// defaultLanguage is what an info without a language is in (CAP 1.2 §3.2.2).
const defaultLanguage = "en-US"

// lang is the language of the info, en-US when it does not say.
func (i *Info) lang() string {
	if i.Language == "" {
		return defaultLanguage
	}
	return i.Language
}
