// Which towns are named first as the map zooms in, and how the Kreyòl screens
// write those whose GeoNames entry is French. The gazetteer that is used holds
// no population, so rank is said here.

// Seats of national government and cities known across the region.
export const first = {
  HT: ['Port-au-Prince', 'Cap-Haïtien', 'Les Cayes', 'Gonaïves'],
  DO: ['Santo Domingo', 'Santiago de los Caballeros', 'Punta Cana'],
  CU: ['Havana', 'Santiago de Cuba', 'Camagüey'],
  JM: ['Kingston', 'Montego Bay'],
  PR: ['San Juan', 'Ponce'],
  BS: ['Nassau', 'Freeport'],
  TC: ['Cockburn Town', 'Providenciales'],
  TT: ['Port of Spain'], BB: ['Bridgetown'], GY: ['Georgetown'], SR: ['Paramaribo'], LC: ['Castries'], GD: ["Saint George's"],
  VC: ['Kingstown'], DM: ['Roseau'], AG: ["Saint John’s"], KN: ['Basseterre'], BZ: ['Belmopan', 'Belize City'],
  US: ['Miami'], CO: ['Barranquilla', 'Cartagena'], VE: ['Caracas', 'Maracaibo'], MX: ['Cancún', 'Mérida'], KY: ['George Town'], CW: ['Willemstad'], AW: ['Oranjestad'],
};

// Chief towns of departments and provinces, and border crossings.
export const second = {
  HT: ['Jacmel', 'Jérémie', 'Hinche', 'Miragoâne', 'Port-de-Paix', 'Fort Liberté', 'Saint-Marc', 'Ouanaminthe', 'Léogâne', 'Mirebalais', 'Croix-des-Bouquets', 'Petite-Goâve', 'Grangwav', 'Tigwav', 'Anse à Galets', 'Môle Saint-Nicolas', 'Belle-Anse', 'Anse-à-Pitre', 'Cabaret', 'Aquin'],
  DO: ['Dajabón', 'Jimaní', 'Elías Piña', 'Comendador', 'Pedernales', 'Monte Cristi', 'San Fernando de Monte Cristi', 'Barahona', 'Santa Cruz de Barahona', 'San Juan de la Maguana', 'La Romana', 'San Pedro de Macorís', 'Puerto Plata', 'Concepción de La Vega', 'San Francisco de Macorís', 'Samaná', 'Azua', 'Baní', 'Higüey', 'Salvaleón de Higüey', 'Mao', 'San Cristóbal'],
  CU: ['Guantánamo', 'Holguín', 'Bayamo', 'Santa Clara', 'Cienfuegos', 'Matanzas', 'Pinar del Río', 'Baracoa', 'Las Tunas'],
  JM: ['Spanish Town', 'Ocho Rios', 'Mandeville', 'Port Antonio', 'Negril'],
  PR: ['Mayagüez', 'Arecibo', 'Caguas', 'Fajardo'],
  BS: ['Matthew Town', 'Marsh Harbour', 'George Town', 'Cockburn Town'],
};

export const kreyol = {
  'Port-au-Prince': 'Pòtoprens', 'Cap-Haïtien': 'Kap Ayisyen', 'Les Cayes': 'Okay', 'Gonaïves': 'Gonayiv', 'Jacmel': 'Jakmèl', 'Jérémie': 'Jeremi',
  'Hinche': 'Ench', 'Miragoâne': 'Miragwàn', 'Port-de-Paix': 'Pòdpè', 'Fort Liberté': 'Fòlibète', 'Saint-Marc': 'Sen Mak', 'Ouanaminthe': 'Wanament',
  'Léogâne': 'Leyogàn', 'Mirebalais': 'Mibalè', 'Croix-des-Bouquets': 'Kwadèboukè', 'Anse à Galets': 'Ansagalè', 'Môle Saint-Nicolas': 'Mòl Sen Nikola',
  'Belle-Anse': 'Bèlans', 'Anse-à-Pitre': 'Ansapit', 'Cabaret': 'Kabarè', 'Aquin': 'Aken', 'Pétionville': 'Petyonvil', 'Carrefour': 'Kafou', 'Delmas': 'Dèlma',
  'Cité Soleil': 'Site Solèy', 'Kenscoff': 'Kenskòf', 'Arcahaie': 'Akayè', 'Gros Morne': 'Gwo Mòn', 'Verrettes': 'Vèrèt', 'Limonade': 'Limonad',
};

// GeoNames entries of this gazetteer that Haitians write in French on French screens.
export const french = { Tigwav: 'Petit-Goâve', Grangwav: 'Grand-Goâve', Lenbe: 'Limbé', Kotdefè: 'Côtes-de-Fer', Koto: 'Coteaux', Mayisad: 'Maïssade' };
