package public

import "konbit/desk"

// words are those of the pages themselves. What notices say comes from their desks.
var words = map[string]desk.Text{
	"title":     {HT: "Alèt ak moun ki disparèt", FR: "Alertes et personnes disparues", ES: "Alertas y personas desaparecidas", EN: "Alerts and missing people"},
	desk.Alerts: {HT: "Alèt", FR: "Alertes", ES: "Alertas", EN: "Alerts"},
	desk.People: {HT: "Moun ki disparèt", FR: "Personnes disparues", ES: "Personas desaparecidas", EN: "Missing people"},
	"none":      {HT: "Pa gen anyen kounye a.", FR: "Rien pour le moment.", ES: "Nada por ahora.", EN: "Nothing at the moment."},
	"noneNear":  {HT: "Pa gen anyen pou kote sa a. Gade tout peyi a.", FR: "Rien pour ce lieu. Voyez tout le pays.", ES: "Nada para ese lugar. Vea todo el país.", EN: "Nothing for that place. Look at the whole country."},
	"near":      {HT: "Komin oswa depatman", FR: "Commune ou département", ES: "Municipio o provincia", EN: "Commune, province or department"},
	"show":      {HT: "Montre", FR: "Afficher", ES: "Mostrar", EN: "Show"},
	"all":       {HT: "Tout", FR: "Tout", ES: "Todo", EN: "All"},
	"since":     {HT: "Depi", FR: "Depuis", ES: "Desde", EN: "Since"},
	"seen":      {HT: "Dènye fwa yo te wè l", FR: "Vu pour la dernière fois", ES: "Visto por última vez", EN: "Last seen"},
	"until":     {HT: "Jiska", FR: "Jusqu’au", ES: "Hasta", EN: "Until"},
	"area":      {HT: "Kote", FR: "Zone", ES: "Zona", EN: "Area"},
	"contact":   {HT: "Si ou konnen yon bagay", FR: "Si vous savez quelque chose", ES: "Si sabe algo", EN: "If you know something"},
	"ended":     {HT: "Fini", FR: "Terminé", ES: "Terminado", EN: "Ended"},
	"gone":      {HT: "Avi sa a pa la ankò.", FR: "Cet avis n’est plus publié.", ES: "Este aviso ya no está publicado.", EN: "This notice is no longer published."},
	"demo":      {HT: "tout moun ak tout evènman sou paj sa a envante", FR: "toutes les personnes et tous les faits de cette page sont inventés", ES: "todas las personas y todos los hechos de esta página son inventados", EN: "every person and event on this page is invented"},
	"noPage":    {HT: "Pa gen paj konsa.", FR: "Cette page n’existe pas.", ES: "Esa página no existe.", EN: "There is no such page."},
	"back":      {HT: "Tout avi yo", FR: "Tous les avis", ES: "Todos los avisos", EN: "All notices"},
	"photo":     {HT: "Foto", FR: "Photographie", ES: "Fotografía", EN: "Photograph"},
	"by":        {HT: "Pibliye pa", FR: "Publié par", ES: "Publicado por", EN: "Published by"},
	"program":   {HT: "Pou lòt pwogram", FR: "Pour les programmes", ES: "Para programas", EN: "For programs"},
	"share":     {HT: "Pataje lyen paj sa a, pa foto a: lè yo jwenn moun nan, paj la chanje poukont li.", FR: "Partagez le lien de cette page, pas la photo : quand la personne est retrouvée, la page change d’elle-même.", ES: "Comparta el enlace de esta página, no la foto: cuando la persona aparece, la página cambia sola.", EN: "Share the link of this page, not the photograph: when the person is found, the page changes by itself."},
	"data":      {HT: "Sa nou fè ak done yo", FR: "Ce que nous faisons des données", ES: "Qué hacemos con los datos", EN: "What is done with the data"},
	"dataText":  {HT: "Paj sa a pa swiv moun k ap li l: pa gen bonbon, pa gen pwogram lòt moun. Non ak foto yon moun ki disparèt parèt sèlman ak dakò fanmi an oswa yon otorite; yo retire yo menm moman yo jwenn li.", FR: "Cette page ne suit pas ceux qui la lisent : ni cookies, ni programme de tiers. Le nom et la photo d’une personne disparue n’y sont qu’avec l’accord de la famille ou d’une autorité ; on les retire dès qu’elle est retrouvée.", ES: "Esta página no sigue a quien la lee: sin cookies ni programas de terceros. El nombre y la foto de una persona desaparecida aparecen solo con el consentimiento de la familia o de una autoridad; se retiran en cuanto aparece.", EN: "This page does not follow who reads it: no cookies, no programs of others. Name and photograph of a missing person are here only with the consent of the family or of an authority, and go the moment the person is found."},
}
