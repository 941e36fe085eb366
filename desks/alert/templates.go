package alert

import (
	"slices"
	"strings"
	"time"
)

// Template is an alert that is ready but for where it is: "{place}" in its texts.
type Template struct {
	Name      string     `json:"name"`
	Event     Event      `json:"event"`
	Category  Category   `json:"category"`
	Severity  Severity   `json:"severity"`
	Urgency   Urgency    `json:"urgency"`
	Certainty Certainty  `json:"certainty"`
	Response  []Response `json:"responseType"`
	Hours     int        `json:"hours" doc:"How long it holds"`
	Texts     []Text     `json:"texts"`
}

// MaxPlaceWords is how long a place may be, in characters, that fits into every headline.
const MaxPlaceWords = 60

// Fill makes an alert of a template, for the public, from now on.
func (t Template) Fill(place string, now time.Time) *Alert {
	expires := now.UTC().Truncate(time.Minute).Add(time.Duration(t.Hours) * time.Hour)
	b := &Alert{
		Event: t.Event, Category: t.Category, Severity: t.Severity, Urgency: t.Urgency, Certainty: t.Certainty,
		Response: slices.Clone(t.Response), Status: Actual, Scope: Public, Expires: &expires, Texts: slices.Clone(t.Texts),
	}
	for i := range b.Texts {
		x := &b.Texts[i]
		for _, s := range []*string{&x.Headline, &x.Description, &x.Instruction} {
			*s = strings.ReplaceAll(*s, "{place}", place)
		}
	}
	return b
}

// Templates lists them, related ones together; each in the order of desk.Langs. An alert about a missing person names nobody:
// name and photograph are on the page that it leads to, which changes when the person is found.
func Templates() []Template {
	return []Template{
		{"flood", Flood, "met", Severe, Immediate, Observed, []Response{Evacuate, Avoid}, 12, []Text{
			{Language: "ht", Headline: "{place}: inondasyon. Monte kote ki wo kounye a.",
				Description: "Dlo ap monte nan {place}. Rivyè ak ravin yo ka debòde san avètisman.",
				Instruction: "Kite bò rivyè, ravin ak kote ki ba yo. Monte kote ki wo. Pa travèse dlo k ap kouri, ni a pye ni nan machin. Ede timoun, granmoun ak moun ki andikape. Koute radyo."},
			{Language: "fr", Headline: "{place} : inondation. Gagnez les hauteurs maintenant.",
				Description: "L'eau monte dans cette zone : {place}. Rivières et ravines peuvent déborder sans prévenir.",
				Instruction: "Quittez les rives, les ravines et les zones basses. Gagnez un point haut. Ne traversez pas l'eau qui court, ni à pied ni en voiture. Aidez les enfants, les personnes âgées et les personnes handicapées. Écoutez la radio."},
			{Language: "es", Headline: "{place}: inundación. Suba a un lugar alto ahora.",
				Description: "El agua está subiendo en {place}. Ríos y cañadas pueden desbordarse sin aviso.",
				Instruction: "Aléjese de ríos, cañadas y zonas bajas. Suba a un lugar alto. No cruce agua en movimiento, ni a pie ni en vehículo. Ayude a niños, envejecientes y personas con discapacidad. Escuche la radio."},
			{Language: "en", Headline: "{place}: flooding. Move to high ground now.",
				Description: "Water is rising in {place}. Rivers and ravines may overflow without warning.",
				Instruction: "Leave river banks, ravines and low ground. Move to high ground. Do not cross moving water, on foot or by car. Help children, older people and people with disabilities. Listen to the radio."},
		}},
		{"landslide", Landslide, "geo", Severe, Expected, Likely, []Response{Evacuate, Avoid}, 12, []Text{
			{Language: "ht", Headline: "{place}: tè ka glise. Kite pant ak pye mòn yo.",
				Description: "Tè a plen dlo nan {place}. Li ka glise san avètisman.",
				Instruction: "Kite pant, pye mòn ak ravin yo. Ale yon kote ki plat epi ki solid. Si ou tande bri oswa ou wè tè a fann, sove touswit. Pa tounen anvan otorite yo di ou sa."},
			{Language: "fr", Headline: "{place} : risque de glissement de terrain. Quittez les pentes.",
				Description: "Le sol est gorgé d'eau dans cette zone : {place}. Il peut glisser sans prévenir.",
				Instruction: "Quittez les pentes, le pied des mornes et les ravines. Gagnez un endroit plat et solide. Si vous entendez un grondement ou voyez des fissures, partez aussitôt. Ne revenez pas avant l'accord des autorités."},
			{Language: "es", Headline: "{place}: peligro de deslizamiento de tierra. Salga de las laderas.",
				Description: "El suelo está saturado de agua en {place}. Puede deslizarse sin aviso.",
				Instruction: "Salga de laderas, pies de loma y cañadas. Vaya a un lugar llano y firme. Si oye un estruendo o ve grietas, salga de inmediato. No regrese hasta que las autoridades lo digan."},
			{Language: "en", Headline: "{place}: danger of landslides. Leave slopes and ravines.",
				Description: "The ground is full of water in {place}. It may slide without warning.",
				Instruction: "Leave slopes, the foot of hills and ravines. Go to flat, firm ground. If you hear rumbling or see cracks, leave at once. Do not go back before the authorities say so."},
		}},
		{"tropical-storm", TropicalStorm, "met", Severe, Expected, Likely, []Response{Prepare, Shelter}, 24, []Text{
			{Language: "ht", Headline: "{place}: tanpèt twopikal ap vini. Prepare ou kounye a.",
				Description: "Yon tanpèt twopikal ap pwoche {place}, ak gwo van, anpil lapli ak lanmè move.",
				Instruction: "Mete dlo, manje, medikaman ak papye ou nan yon sak. Mare tòl ak sa van ka pote ale. Pa pran lanmè. Si kay ou pa solid oswa li toupre dlo, ale nan yon abri anvan van an rive."},
			{Language: "fr", Headline: "{place} : tempête tropicale en approche. Préparez-vous maintenant.",
				Description: "Une tempête tropicale approche de cette zone : {place}. Vents forts, fortes pluies et mer dangereuse.",
				Instruction: "Mettez eau, nourriture, médicaments et papiers dans un sac. Attachez les tôles et ce que le vent peut emporter. Ne prenez pas la mer. Si votre maison est fragile ou près de l'eau, gagnez un abri avant le vent."},
			{Language: "es", Headline: "{place}: se acerca una tormenta tropical. Prepárese ahora.",
				Description: "Una tormenta tropical se acerca a {place}, con vientos fuertes, lluvias intensas y mar peligrosa.",
				Instruction: "Ponga agua, comida, medicinas y documentos en una mochila. Asegure el zinc y lo que el viento pueda llevarse. No salga al mar. Si su casa es frágil o está cerca del agua, vaya a un refugio antes del viento."},
			{Language: "en", Headline: "{place}: tropical storm coming. Get ready now.",
				Description: "A tropical storm is approaching {place}, with strong wind, heavy rain and dangerous seas.",
				Instruction: "Put water, food, medicine and papers in a bag. Tie down roof sheets and loose things. Do not go to sea. If your house is weak or near water, go to a shelter before the wind comes."},
		}},
		{"hurricane", Hurricane, "met", Extreme, Expected, Likely, []Response{Evacuate, Shelter}, 24, []Text{
			{Language: "ht", Headline: "{place}: siklòn ap vini. Ale nan yon abri solid kounye a.",
				Description: "Yon siklòn ap pwoche {place}. Van an ka kraze kay, lanmè a ka antre sou tè a.",
				Instruction: "Kite bò lanmè, bò rivyè ak ravin yo. Ale nan yon abri solid anvan van an rive. Pran dlo, manje, medikaman ak papye ou. Rete andedan, lwen fenèt. Lè van an kalme, tann: li ka tounen pi rèd."},
			{Language: "fr", Headline: "{place} : ouragan en approche. Gagnez un abri solide maintenant.",
				Description: "Un ouragan approche de cette zone : {place}. Le vent peut détruire des maisons et la mer envahir la côte.",
				Instruction: "Quittez le bord de mer, les rives et les ravines. Gagnez un abri solide avant le vent. Prenez eau, nourriture, médicaments et papiers. Restez à l'intérieur, loin des fenêtres. Si le vent tombe, attendez : il peut revenir plus fort."},
			{Language: "es", Headline: "{place}: se acerca un huracán. Vaya ahora a un refugio seguro.",
				Description: "Un huracán se acerca a {place}. El viento puede destruir casas y el mar puede entrar en la costa.",
				Instruction: "Salga de la costa, de los ríos y de las cañadas. Vaya a un refugio seguro antes del viento. Lleve agua, comida, medicinas y documentos. Quédese dentro, lejos de las ventanas. Si el viento se calma, espere: puede volver con más fuerza."},
			{Language: "en", Headline: "{place}: hurricane coming. Go to a strong shelter now.",
				Description: "A hurricane is approaching {place}. The wind can destroy houses and the sea can flood the coast.",
				Instruction: "Leave the coast, river banks and ravines. Go to a strong shelter before the wind comes. Take water, food, medicine and papers. Stay inside, away from windows. If the wind drops, wait: it may come back stronger."},
		}},
		{"earthquake", Earthquake, "geo", Extreme, Immediate, Observed, []Response{Avoid, Execute}, 12, []Text{
			{Language: "ht", Headline: "{place}: tranblemanntè. Lòt sekous ka vini. Soti nan kay ki domaje.",
				Description: "Tè a tranble nan {place}. Lòt sekous ka vini pandan plizyè jou.",
				Instruction: "Soti ak prekosyon, ale yon kote ki louvri, lwen mi ak fil kouran. Pa antre nan kay ki fann. Fèmen gaz. Si tè a tranble ankò, bese, kouvri tèt ou, kenbe. Bò lanmè, monte kote ki wo touswit."},
			{Language: "fr", Headline: "{place} : séisme. Répliques possibles. Sortez des bâtiments abîmés.",
				Description: "La terre a tremblé dans cette zone : {place}. Des répliques sont possibles pendant plusieurs jours.",
				Instruction: "Sortez avec prudence et gagnez un espace ouvert, loin des murs et des fils. N'entrez pas dans un bâtiment fissuré. Fermez le gaz. Si la terre tremble encore, baissez-vous, protégez votre tête, tenez-vous. Près de la mer, montez tout de suite sur les hauteurs."},
			{Language: "es", Headline: "{place}: terremoto. Puede haber réplicas. Salga de edificios dañados.",
				Description: "La tierra tembló en {place}. Puede haber réplicas durante varios días.",
				Instruction: "Salga con cuidado a un lugar abierto, lejos de paredes y cables. No entre en edificios agrietados. Cierre el gas. Si vuelve a temblar, agáchese, cúbrase la cabeza y agárrese. Cerca del mar, suba de inmediato a un lugar alto."},
			{Language: "en", Headline: "{place}: earthquake. Aftershocks may follow. Leave damaged buildings.",
				Description: "The ground shook in {place}. Aftershocks may come for several days.",
				Instruction: "Go out with care to an open place, away from walls and wires. Do not enter cracked buildings. Turn off gas. If it shakes again, drop, cover your head, hold on. Near the sea, go up to high ground at once."},
		}},
		{"tsunami", Tsunami, "geo", Extreme, Immediate, Likely, []Response{Evacuate}, 6, []Text{
			{Language: "ht", Headline: "{place}: tsounami. Kite bò lanmè, kouri monte kote ki wo KOUNYE A.",
				Description: "Gwo lanm ka frape kòt la nan {place}. Premye lanm lan pa toujou pi gwo a; lòt ka vini pandan plizyè èdtan.",
				Instruction: "Pa tann. Kouri a pye monte kote ki wo, oswa ale pi lwen posib nan tè. Pa al gade lanmè a. Pa tounen anvan otorite yo di danje a pase."},
			{Language: "fr", Headline: "{place} : tsunami. Quittez la côte, montez sur les hauteurs MAINTENANT.",
				Description: "De grandes vagues peuvent frapper la côte : {place}. La première n'est pas toujours la plus forte ; d'autres peuvent suivre pendant des heures.",
				Instruction: "N'attendez pas. Montez à pied sur les hauteurs, ou éloignez-vous le plus possible de la mer. N'allez pas regarder la mer. Ne revenez pas avant que les autorités annoncent la fin du danger."},
			{Language: "es", Headline: "{place}: tsunami. Salga de la costa y suba a un lugar alto AHORA.",
				Description: "Grandes olas pueden golpear la costa de {place}. La primera no siempre es la mayor; otras pueden llegar durante horas.",
				Instruction: "No espere. Suba a pie a un lugar alto o aléjese del mar lo más posible. No vaya a mirar el mar. No regrese hasta que las autoridades digan que pasó el peligro."},
			{Language: "en", Headline: "{place}: tsunami. Leave the coast, get to high ground NOW.",
				Description: "Large waves may hit the coast of {place}. The first is not always the largest; more may come for hours.",
				Instruction: "Do not wait. Go on foot to high ground, or as far inland as you can. Do not go to watch the sea. Do not return before the authorities say that the danger is over."},
		}},
		{"fire", Fire, "fire", Severe, Immediate, Observed, []Response{Evacuate, Avoid}, 6, []Text{
			{Language: "ht", Headline: "{place}: gwo dife. Kite zòn nan, kite wout la lib pou ponpye.",
				Description: "Yon gwo dife ap boule nan {place}. Lafimen an danjere.",
				Instruction: "Kite zòn nan, mache kont van an. Kouvri nen ak bouch ou ak yon twal mouye. Pa tounen chèche anyen. Kite wout la lib pou ponpye ak anbilans."},
			{Language: "fr", Headline: "{place} : incendie majeur. Quittez la zone, laissez passer les secours.",
				Description: "Un incendie majeur brûle dans cette zone : {place}. La fumée est dangereuse.",
				Instruction: "Quittez la zone face au vent. Couvrez le nez et la bouche d'un linge mouillé. Ne revenez rien chercher. Laissez la route libre pour les pompiers et les ambulances."},
			{Language: "es", Headline: "{place}: gran incendio. Salga de la zona y deje paso a los bomberos.",
				Description: "Un gran incendio arde en {place}. El humo es peligroso.",
				Instruction: "Salga de la zona en contra del viento. Cúbrase la nariz y la boca con un paño mojado. No regrese a buscar nada. Deje la vía libre para bomberos y ambulancias."},
			{Language: "en", Headline: "{place}: large fire. Leave the area, keep roads clear.",
				Description: "A large fire is burning in {place}. The smoke is dangerous.",
				Instruction: "Leave the area into the wind. Cover nose and mouth with a wet cloth. Do not go back for anything. Keep the road clear for fire engines and ambulances."},
		}},
		{"shelter-in-place", ShelterInPlace, "security", Severe, Immediate, Observed, []Response{Shelter, Avoid}, 6, []Text{
			{Language: "ht", Headline: "{place}: danje nan lari a. Rete andedan, lwen pòt ak fenèt.",
				Description: "Gen vyolans nan {place}. Li danjere pou soti oswa pase la.",
				Instruction: "Rete andedan. Fèmen pòt yo, rete atè, lwen fenèt. Si ou deyò, antre nan premye kote ki solid. Pa pran wout {place}. Pa pataje kote lapolis ye. Tann nouvo mesaj."},
			{Language: "fr", Headline: "{place} : danger dans les rues. Restez à l'intérieur, loin des fenêtres.",
				Description: "Des violences sont en cours dans cette zone : {place}. Il est dangereux de sortir ou d'y passer.",
				Instruction: "Restez à l'intérieur. Fermez les portes, restez au sol, loin des fenêtres. Si vous êtes dehors, entrez dans le premier lieu solide. Évitez la zone. Ne diffusez pas la position de la police. Attendez un nouveau message."},
			{Language: "es", Headline: "{place}: peligro en las calles. Quédese dentro, lejos de las ventanas.",
				Description: "Hay violencia en {place}. Es peligroso salir o pasar por allí.",
				Instruction: "Quédese dentro. Cierre las puertas, manténgase en el suelo, lejos de las ventanas. Si está fuera, entre en el primer lugar sólido. Evite la zona. No difunda dónde está la policía. Espere un nuevo mensaje."},
			{Language: "en", Headline: "{place}: danger in the streets. Stay inside, away from windows.",
				Description: "There is violence in {place}. It is dangerous to go out or to pass there.",
				Instruction: "Stay inside. Lock doors, stay low, away from windows. If you are outside, enter the nearest solid building. Keep out of the area. Do not share where the police are. Wait for a new message."},
		}},
		{"water-unsafe", WaterUnsafe, "health", Severe, Immediate, Likely, []Response{Avoid, Execute}, 72, []Text{
			{Language: "ht", Headline: "{place}: dlo a pa bon pou bwè. Trete li oswa bouyi li.",
				Description: "Dlo nan {place} ka fè moun malad.",
				Instruction: "Pa bwè dlo a san ou pa trete li: bouyi li yon minit oswa mete klowòks ladan l jan yo di a. Sèvi ak dlo trete pou bwè, kwit manje, lave dan ak benyen ti bebe. Ale nan sant sante si ou gen dyare."},
			{Language: "fr", Headline: "{place} : eau non potable. Traitez-la ou faites-la bouillir.",
				Description: "L'eau de cette zone peut rendre malade : {place}.",
				Instruction: "Ne buvez pas cette eau sans la traiter : faites-la bouillir une minute ou ajoutez du chlore selon les consignes. Utilisez de l'eau traitée pour boire, cuisiner, vous laver les dents et laver les bébés. En cas de diarrhée, allez au centre de santé."},
			{Language: "es", Headline: "{place}: agua no potable. Hiérvala o trátela.",
				Description: "El agua de {place} puede enfermar.",
				Instruction: "No beba el agua sin tratarla: hiérvala un minuto o échele cloro según las indicaciones. Use agua tratada para beber, cocinar, cepillarse los dientes y bañar a los bebés. Si tiene diarrea, vaya al centro de salud."},
			{Language: "en", Headline: "{place}: water is not safe to drink. Boil or treat it.",
				Description: "The water in {place} can make people ill.",
				Instruction: "Do not drink the water untreated: boil it for one minute or add chlorine as directed. Use treated water to drink, cook, brush teeth and bathe babies. If you have diarrhoea, go to a health centre."},
		}},
		{"disease", Disease, "health", Severe, Expected, Observed, []Response{Execute, Monitor}, 168, []Text{
			{Language: "ht", Headline: "{place}: yon maladi atrapan ap gaye. Lave men ou, bwè dlo trete.",
				Description: "Yon maladi ki bay dyare ak vomisman ap gaye nan {place}.",
				Instruction: "Bwè dlo trete. Lave men ou ak savon anvan ou manje ak apre ou fin al nan twalèt. Kwit manje byen. Si yon moun gen dyare ak vomisman, ba li sewòm oral epi mennen li nan sant sante touswit."},
			{Language: "fr", Headline: "{place} : maladie contagieuse. Lavez-vous les mains, buvez de l'eau traitée.",
				Description: "Une maladie qui donne diarrhée et vomissements circule dans cette zone : {place}.",
				Instruction: "Buvez de l'eau traitée. Lavez-vous les mains au savon avant de manger et après les toilettes. Cuisez bien les aliments. En cas de diarrhée et de vomissements, donnez du sérum oral et allez tout de suite au centre de santé."},
			{Language: "es", Headline: "{place}: enfermedad contagiosa. Lávese las manos, beba agua tratada.",
				Description: "Una enfermedad que causa diarrea y vómitos circula en {place}.",
				Instruction: "Beba agua tratada. Lávese las manos con jabón antes de comer y después de ir al baño. Cocine bien los alimentos. Si hay diarrea y vómitos, dé suero oral y vaya de inmediato al centro de salud."},
			{Language: "en", Headline: "{place}: contagious disease. Wash your hands, drink treated water.",
				Description: "A disease that causes diarrhoea and vomiting is spreading in {place}.",
				Instruction: "Drink treated water. Wash hands with soap before eating and after the toilet. Cook food well. If somebody has diarrhoea and vomits, give oral rehydration salts and go to a health centre at once."},
		}},
		{"child-abduction", ChildAbduction, "security", Severe, Immediate, Likely, []Response{Monitor}, 24, []Text{
			{Language: "ht", Headline: "Alèt AMBER, {place}: yo pran yon timoun. Gade paj la, rele si ou wè li.",
				Description: "Lapolis kwè yo kidnape yon timoun nan {place}. Non li, foto li ak deskripsyon li sou paj ofisyèl la.",
				Instruction: "Gade deskripsyon an sou paj ofisyèl la. Si ou wè timoun nan oswa machin nan, rele touswit. Pa pwoche, pa swiv yo. Pataje lyen paj la, pa foto a."},
			{Language: "fr", Headline: "Alerte AMBER, {place} : enfant enlevé. Voyez la page, appelez si vous le voyez.",
				Description: "La police pense qu'un enfant a été enlevé dans cette zone : {place}. Son nom, sa photo et sa description sont sur la page officielle.",
				Instruction: "Lisez la description sur la page officielle. Si vous voyez l'enfant ou le véhicule, appelez tout de suite. N'approchez pas, ne suivez pas. Partagez le lien de la page, pas la photo."},
			{Language: "es", Headline: "Alerta AMBER, {place}: menor secuestrado. Vea la página y llame si lo ve.",
				Description: "La policía cree que un menor fue secuestrado en {place}. Su nombre, foto y descripción están en la página oficial.",
				Instruction: "Lea la descripción en la página oficial. Si ve al menor o el vehículo, llame de inmediato. No se acerque ni los siga. Comparta el enlace de la página, no la foto."},
			{Language: "en", Headline: "AMBER alert, {place}: child abducted. See the page, call if you see them.",
				Description: "Police believe that a child was abducted in {place}. Name, photograph and description are on the official page.",
				Instruction: "Read the description on the official page. If you see the child or the vehicle, call at once. Do not approach or follow. Share the link of the page, not the photograph."},
		}},
		{"missing-elder", MissingElder, "safety", Severe, Expected, Likely, []Response{Monitor}, 48, []Text{
			{Language: "ht", Headline: "{place}: yon granmoun disparèt. Gade paj la, rele si ou wè li.",
				Description: "Yon granmoun ki ka an danje disparèt nan {place}. Deskripsyon li sou paj ofisyèl la.",
				Instruction: "Gade nan lakou, galri ak bò wout yo. Si ou wè moun nan, pale ak li dousman, rete avè l epi rele touswit. Pataje lyen paj la, pa foto a."},
			{Language: "fr", Headline: "{place} : personne âgée disparue. Voyez la page, appelez si vous la voyez.",
				Description: "Une personne âgée, peut-être en danger, a disparu dans cette zone : {place}. Sa description est sur la page officielle.",
				Instruction: "Regardez dans les cours, les galeries et au bord des routes. Si vous voyez la personne, parlez-lui calmement, restez avec elle et appelez tout de suite. Partagez le lien de la page, pas la photo."},
			{Language: "es", Headline: "{place}: envejeciente desaparecido. Vea la página y llame si lo ve.",
				Description: "Una persona mayor que puede estar en peligro desapareció en {place}. Su descripción está en la página oficial.",
				Instruction: "Mire en patios, galerías y orillas de los caminos. Si ve a la persona, háblele con calma, quédese con ella y llame de inmediato. Comparta el enlace de la página, no la foto."},
			{Language: "en", Headline: "{place}: older person missing. See the page, call if you see them.",
				Description: "An older person who may be in danger is missing in {place}. The description is on the official page.",
				Instruction: "Look in yards, porches and beside roads. If you see the person, speak calmly, stay with them and call at once. Share the link of the page, not the photograph."},
		}},
		{"civil-emergency", CivilEmergency, "safety", Severe, Expected, Observed, []Response{Execute, Monitor}, 24, []Text{
			{Language: "ht", Headline: "{place}: ijans sivil. Suiv konsiy otorite yo.",
				Description: "Gen yon ijans nan {place} ki menase lavi moun ak byen yo.",
				Instruction: "Rete kalm. Koute radyo epi suiv konsiy otorite yo. Pa mache nan zòn nan san nesesite. Pa pataje sa ou pa verifye."},
			{Language: "fr", Headline: "{place} : urgence civile. Suivez les consignes des autorités.",
				Description: "Une urgence menace les personnes et les biens dans cette zone : {place}.",
				Instruction: "Restez calme. Écoutez la radio et suivez les consignes des autorités. Évitez les déplacements inutiles. Ne partagez pas ce que vous n'avez pas vérifié."},
			{Language: "es", Headline: "{place}: emergencia civil. Siga las instrucciones de las autoridades.",
				Description: "Hay una emergencia en {place} que amenaza a las personas y los bienes.",
				Instruction: "Mantenga la calma. Escuche la radio y siga las instrucciones de las autoridades. Evite desplazamientos innecesarios. No comparta lo que no haya verificado."},
			{Language: "en", Headline: "{place}: civil emergency. Follow the instructions of the authorities.",
				Description: "There is an emergency in {place} that threatens people and property.",
				Instruction: "Stay calm. Listen to the radio and follow the instructions of the authorities. Do not travel without need. Do not share what you have not checked."},
		}},
	}
}
