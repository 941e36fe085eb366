// A request to look at a place, kept until a map is there to answer it.
interface Target {
  lon: number;
  lat: number;
  zoom: number;
}

let wanted: Target | undefined;
let answer: ((t: Target) => void) | undefined;

export function flyTo(t: Target) {
  if (answer) answer(t);
  else wanted = t;
}

export function onFly(f: (t: Target) => void): () => void {
  answer = f;
  if (wanted) f(wanted);
  wanted = undefined;
  return () => {
    if (answer === f) answer = undefined;
  };
}
