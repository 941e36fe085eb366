package name

import "strings"

// particles stand beside a name and are left out as often as written: articles
// and prepositions, titles, and words put before a name in speech.
const particles = `de del dela delas delos las los da di
 ti ton tonton man manman madan madame mme mlle monsieur mr mrs me pe mere pere frere soeur se fre
 don dona sr sra srta senor senora dr dra pasteur pastor vve veuve viuda vda dit dite alias`

// glued are French articles that belong to the name after them: La Guerre is
// Laguerre.
const glued = `la le les du des`

// abbreviations are words that are written for longer ones.
const abbreviations = `jn jean|jh joseph|jph joseph|ph philippe|prre pierre|alt altagracia|altag altagracia|jos joseph|st saint|ste sainte|mie marie|ma maria|bte baptiste|bste baptiste|btiste baptiste|bptiste baptiste|btste baptiste
 frs francois|fcois francois|frcois francois|fcoise francoise|fse francoise|jques jacques|jacq jacques|chs charles|chles charles|emml emmanuel|emm emmanuel
 ant antoine|alex alexandre|aug auguste|phpe philippe|phil philippe|wm william|jr junior
 fco francisco|frco francisco|fca francisca|fdo fernando|ml manuel|mnl manuel|ant antonio|ma maria|dgo domingo|sto santo|sta santa|stgo santiago|alej alejandro
 rdguez rodriguez|rguez rodriguez|rdz rodriguez|rodgz rodriguez|glez gonzalez|gzlez gonzalez|gonz gonzalez|fdez fernandez|fndez fernandez|hdez hernandez|hndez hernandez
 mtnez martinez|mtez martinez|mrtz martinez|jmnz jimenez|jmez jimenez|dguez dominguez|sanz sanchez|shez sanchez|schez sanchez|perz perez|prz perez|lpz lopez|grcia garcia|gcia garcia|rmrez ramirez`

// called are familiar forms, each with the names that they stand for: Spanish,
// French and Kreyòl.
const called = `paco pancho kiko quico curro fran pachico paquito cisco:francisco
 pepe pepito chepe chepito cheo joselito:jose|chepa pepa josefa fina josefita:josefina
 nacho:ignacio|manolo manolito manny lolo manu:manuel|manno:emmanuel|lito:manuel,angel
 quique kike:enrique|beto:roberto,alberto|tito:roberto,alberto|berto:roberto,alberto|rober robertico:roberto
 nando:fernando,armando|fello fellito rafi rafaelito:rafael|fefa:rafaela|memo guille:guillermo|chucho chuy chuito suso:jesus|chu:jesus
 moncho mon monchin:ramon|mona moncha:ramona|lalo:eduardo|edu eddy:eduardo|goyo:gregorio|tono tonito toni tony:antonio,antoine|tonio:antonio,antoine
 juancho juanito juancito juani:juan|juanita:juana|carlitos charlie:carlos|luisito lucho:luis|pedrito perucho:pedro|miguelito miguelin:miguel
 julito julin:julio|minguito mingo:domingo|minga:dominga|chago santi:santiago|chano:luciano|alex ale:alejandro,alexandre|andresito:andres
 rica ricardito:ricardo|cuco:refugio|tomasito:tomas|vitico vito:victor|yeyo:aurelio|danielito dani danny:daniel|davi:david
 lola lolita:dolores|concha conchita:concepcion|chela:graciela|charo chari:rosario|lupe lupita:guadalupe|meche mecho mechy:mercedes|merce:mercedes
 tata tatica alta altita:altagracia|mari maruja mariita marita:maria|maru:maria|carmencita carmita:carmen|rosita:rosa|anita:ana|isa chabela:isabel|tere teresita:teresa
 paty pati:patricia|yoli yola:yolanda|mila:milagros|lucy lucita:luz,lucia|vicky:victoria|caro:carolina|gabi gaby:gabriel,gabriela|caty katy kathy:katherine,catherine
 eli betty:elizabeth|babeth lili lisa:elisabeth,elizabeth|sandy:sandra|paola:paula|nena:elena|tete:esther,teresa|tina:cristina,christine
 jeannot jano jeanjean:jean|pierrot pepi pyero:pierre|jojo:joseph,georges|zo zozo:joseph|jo:joseph,georges|josy:josette
 fanfan:francois,stephane|franky frankie fan:franck,frantz|dede:andre|didi:dieudonne,didier|dieudo:dieudonne|dada:daniel|toto:antoine|toine:antoine
 mimi:micheline,mireille|mich michou miche:michel,micheline|mimiche:micheline|ketty:ketly|kekette:ketly|nini ninie:virginie,denise|nono:arnaud,noel|lulu loulou:louis,lucien|louloune:louise
 riri:henri|gege:gerard|gerry:gerard|momo:maurice,solomon|mario:marius|titi:baptiste,timothee|wiwi will willy bill:wilner,william|wil:wilner,wilson|bob bobby:robert|bebert:robert,albert
 rob ron ronny rony:ronald,robert|pat patou:patrick,patricia|phiphi fifi:philippe|fifine:josephine|jacquot jako:jacques|jimmy jim:james|ti-jo:joseph|max:maxime|steph:stephane,stephanie
 zette:suzette,josette|margot magui maggie:marguerite,margareth|magda:magdalena|nat:nathalie,natacha|nana:anne,nadege|nadou:nadine,nadege|claudy:claude|claudo:claude|loulouse:lourdes|roro:rose,roland|rosy rosie:rose|ros:rose|mamaille mayotte mama:marie|manie:marie|yoyo:yolande|toutou:toussaint|vivi:viviane|zouzou:suze|bebe beth:elisabeth|dodo:dominique,theodore|domi:dominique|lele:emmanuel,leonel|sissi:cecile|cici:cecile|vero:veronique|rolo:rolando,roland
 sam:samuel|dave:david|ben:benjamin|nat:nathan|zach:zacharie|nick nico:nicolas|vin:vincent|gigi:gilbert,ginette|kiki:christine,enrique|marjo:marjorie|flo:florence|val:valerie`

// kin are names that one language writes for those of another, or for which a
// second form is as usual: on the border a Jean is written Juan.
const kin = `jean juan john jan|pierre pedro peter|joseph jose|jacques jacobo|louis luis|charles carlos|francois francisco|michel miguel michael|antoine antonio
 etienne esteban stephane|andre andres|paul pablo|marie maria mary|jeanne juana|francoise francisca|louise luisa|guillaume guillermo william|henri enrique henry
 georges jorge|emmanuel manuel|laurent lorenzo|thomas tomas|philippe felipe|alexandre alejandro|frederic federico|robert roberto|richard ricardo|edouard eduardo edward
 jerome jeronimo|mathieu mateo|marc marcos|luc lucas|jesus|vincent vicente|nicolas|raphael rafael|daniel|roger rogelio|elisabeth isabel elizabeth lisabeth|rose rosa|anne ana|therese teresa
 helene elena|lucie lucia|catherine catalina|marguerite margarita|claire clara|victoire victoria|julien julian|alphonse alfonso|ignace ignacio|martin martinez|augustin agustin|benoit benito
 dominique domingo|toussaint santos|noel natividad|christophe cristobal|gregoire gregorio|eugene eugenio|maurice mauricio|bernard bernardo|raymond ramon raimundo|felix feliz|hilaire hilario`

// usual are names that many people have, with how many of a thousand people in
// Haiti and the Dominican Republic together, roughly. A name that is not here is
// taken for a rare one. Being wrong costs time or a place in the order, never
// more: the numbers choose between keys and weigh words against each other.
var usual = func() map[string]float32 {
	m := map[string]float32{}
	for _, group := range strings.Split(`55 jean|50 maria|40 marie|32 pierre jose|25 joseph|22 juan rodriguez|20 louis luis
 15 perez francois charles paul rose garcia martinez sanchez reyes|12 michel carlos ramon rafael diaz saint antoine francisco pedro miguel ana
 9 jacques baptiste etienne daniel robert antonio manuel ramirez hernandez rosario gonzalez cruz santos philippe claude andre emmanuel david junior pena jimenez altagracia
 6 louissaint augustin alexis laurent thomas henry simon noel toussaint victor vincent santana nunez fernandez castillo gomez lopez ramos guzman juana carmen rosa mercedes patrick gerard marc samuel jesus angel julio santiago wilner frantz ronald
 4 desir celestin julien georges gabriel bernard aime fils nicolas moise felix cesar dieudonne innocent jerome lindor victor hilaire alvarez mejia polanco vasquez almonte feliz mateo medina paulino ortiz encarnacion torres abreu cabrera contreras vargas fritz guy serge reginald roger nadege mirlande yolande guerda carline rosemene mario jorge fernando domingo isabel luz dulce milagros josefina martha francisca wilson ricardo nelson alberto eduardo yves rony james stanley peterson max luc
 2.5 dorvil jeanlouis bienaime joachim cadet guerrier exantus lafortune delva dorce estime jules lubin milien olivier fleur raphael sylvain germain guillaume hyppolite jeudy lamour leger lucien marcelin mathieu maurice pascal petit raymond richard romain benoit camille clement marte suarez tejada ventura rivera acosta batista baez moreno brito montero peralta taveras duran familia herrera guerrero arias soto valdez`, "|") {
		words := strings.Fields(strings.ReplaceAll(group, "\n", " "))
		share := float32(0)
		for _, w := range words {
			if v, ok := number(w); ok {
				share = v
				continue
			}
			c := string(codeOf(w))
			m[c] = max(m[c], 0) + share/1000
		}
	}
	return m
}()

func number(s string) (v float32, ok bool) {
	scale := float32(0)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			scale = 1
		case c < '0' || c > '9':
			return 0, false
		default:
			v = v*10 + float32(c-'0')
			scale *= 10
		}
	}
	return v / max(scale, 1), true
}

// An entry is what the tables say of a folded word.
type entry struct {
	particle bool
	glued    bool
	full     string   // what the word is short for
	called   []string // what it is a familiar form of
	kin      uint8    // the group of the same name in other languages, from 1
}

// lexicon holds the tables above by word.
var lexicon = func() map[string]entry {
	m := map[string]entry{}
	change := func(word string, f func(*entry)) {
		e := m[word]
		f(&e)
		m[word] = e
	}
	for w := range strings.FieldsSeq(particles) {
		change(w, func(e *entry) { e.particle = true })
	}
	for w := range strings.FieldsSeq(glued) {
		change(w, func(e *entry) { e.glued = true })
	}
	items := func(text string) func(func(string) bool) {
		return strings.FieldsFuncSeq(text, func(r rune) bool { return r == '|' || r == '\n' })
	}
	for item := range items(abbreviations) {
		w, full, _ := strings.Cut(strings.TrimSpace(item), " ")
		change(w, func(e *entry) { e.full = full })
	}
	for item := range items(called) {
		familiar, full, _ := strings.Cut(item, ":")
		for w := range strings.FieldsSeq(familiar) {
			change(w, func(e *entry) { e.called = append(e.called, strings.Split(full, ",")...) })
		}
	}
	n := uint8(0)
	for item := range items(kin) {
		n++
		for w := range strings.FieldsSeq(item) {
			change(w, func(e *entry) { e.kin = n })
		}
	}
	return m
}()
