package missing

// DefaultRules returns the criteria with which a node may start: AMBER as the United
// States Department of Justice recommends it, those for old and impaired people, and
// those for anybody else who is in danger. An agency holds them against its own law
// before it puts them in force.
func DefaultRules() []Rules {
	return []Rules{
		{Sort: Amber, Name: "AMBER (US DOJ)", Items: []Item{
			{"abduction", Words{
				HT: "Lapolis gen bon rezon pou kwè yo vòlè timoun nan",
				FR: "La police a des raisons sérieuses de croire à un enlèvement",
				ES: "La policía tiene motivos razonables para creer que hubo una sustracción",
				EN: "Police reasonably believe that an abduction has occurred",
			}, true},
			{"danger", Words{
				HT: "Timoun nan an danje touswit pou l blese grav oswa mouri",
				FR: "L’enfant est en danger imminent de blessure grave ou de mort",
				ES: "El niño corre peligro inminente de sufrir lesiones graves o de morir",
				EN: "The child is in imminent danger of serious injury or death",
			}, true},
			{"description", Words{
				HT: "Gen ase deskripsyon sou timoun nan oswa sou moun ki pran l lan pou piblik la ka ede",
				FR: "La description de l’enfant ou du ravisseur suffit pour que le public puisse aider",
				ES: "La descripción del niño o de quien se lo llevó basta para que el público ayude",
				EN: "The child or the abductor is described well enough for the public to help",
			}, true},
			{"age", Words{
				HT: "Timoun nan gen 17 an oswa mwens",
				FR: "L’enfant a 17 ans ou moins",
				ES: "El niño tiene 17 años o menos",
				EN: "The child is aged 17 or under",
			}, true},
			{"entered", Words{
				HT: "Non ak done timoun nan antre nan sistèm lapolis la, make kòm timoun yo vòlè",
				FR: "Le nom et les données de l’enfant sont dans le fichier de la police, comme enlèvement",
				ES: "El nombre y los datos del niño están en el sistema de la policía, como sustracción",
				EN: "The child’s name and data are entered in the police system, as an abduction",
			}, true},
		}},
		{Sort: Elder, Name: "Elder", Items: []Item{
			{"age", Words{
				HT: "Moun nan gen 65 an oswa plis (60 kote lalwa di sa), oswa li gen yon andikap oswa yon maladi nan lespri",
				FR: "La personne a 65 ans ou plus (60 là où la loi le dit), ou une déficience physique ou mentale",
				ES: "La persona tiene 65 años o más (60 donde la ley lo dice), o una discapacidad física o mental",
				EN: "The person is aged 65 or over (60 where the law says so), or physically or mentally impaired",
			}, true},
			{"unexplained", Words{
				HT: "Pèsonn pa ka esplike poukisa moun nan disparèt",
				FR: "Sa disparition est inexpliquée",
				ES: "Su desaparición no tiene explicación",
				EN: "The disappearance is unexplained",
			}, true},
			{"threat", Words{
				HT: "Gen yon vrè danje pou lavi oswa sante moun nan",
				FR: "Sa santé ou sa sécurité est menacée de façon crédible",
				ES: "Hay una amenaza creíble para su salud o su seguridad",
				EN: "There is a credible threat to the person’s health or safety",
			}, true},
			{"ruled-out", Words{
				HT: "Yo fouye, epi yo wete tout lòt esplikasyon",
				FR: "Une enquête a écarté les autres explications",
				ES: "Una investigación descartó otras explicaciones",
				EN: "An investigation has ruled out other explanations",
			}, true},
			{"within-72h", Words{
				HT: "Li poko gen 72 èdtan depi moun nan disparèt",
				FR: "Moins de 72 heures se sont écoulées depuis la disparition",
				ES: "Han pasado menos de 72 horas desde la desaparición",
				EN: "Less than 72 hours have passed since the disappearance",
			}, true},
			{"helps", Words{
				HT: "Gen ase enfòmasyon pou piblik la ka ede",
				FR: "Il y a assez d’informations pour que le public puisse aider",
				ES: "Hay información suficiente para que el público ayude",
				EN: "There is enough information for the public to help",
			}, false},
		}},
		{Sort: Endangered, Name: "Endangered missing (CAE, MEP)", Items: []Item{
			{"suspicious", Words{
				HT: "Moun nan disparèt san esplikasyon, san li pa t vle, oswa nan kondisyon ki sispèk",
				FR: "La personne a disparu sans explication, contre son gré ou dans des circonstances suspectes",
				ES: "La persona desapareció sin explicación, contra su voluntad o en circunstancias sospechosas",
				EN: "The person is missing without explanation, against his will or in suspicious circumstances",
			}, true},
			{"danger", Words{
				HT: "Laj li, sante l, yon andikap, tan an, kote l ye a oswa moun ki avè l mete l an danje",
				FR: "Son âge, sa santé, un handicap, le temps, le lieu ou ceux qui l’accompagnent le mettent en danger",
				ES: "Su edad, su salud, una discapacidad, el clima, el lugar o quien lo acompaña lo ponen en peligro",
				EN: "Age, health, a disability, the weather, the place or the company puts the person in danger",
			}, true},
			{"helps", Words{
				HT: "Gen ase enfòmasyon pou piblik la ka ede jwenn moun nan an sekirite",
				FR: "Il y a assez d’informations pour que le public aide à la retrouver saine et sauve",
				ES: "Hay información suficiente para que el público ayude a encontrarla a salvo",
				EN: "There is enough information for the public to help in a safe recovery",
			}, true},
			{"entered", Words{
				HT: "Done moun nan antre nan sistèm lapolis la",
				FR: "Les données de la personne sont dans le fichier de la police",
				ES: "Los datos de la persona están en el sistema de la policía",
				EN: "The person’s data are entered in the police system",
			}, true},
			{"not-amber", Words{
				HT: "Ka a pa ranpli kondisyon pou yon alèt AMBER",
				FR: "Le cas ne remplit pas les critères de l’alerte AMBER",
				ES: "El caso no cumple los criterios de la alerta AMBER",
				EN: "The case does not meet the criteria of an AMBER alert",
			}, false},
		}},
	}
}
