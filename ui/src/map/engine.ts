import 'maplibre-gl/dist/maplibre-gl.css';
import { Map as Maplibre, setWorkerUrl, type LngLatBoundsLike } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import { addStreets } from './streets';
import { styleOf, type Tokens } from './style';
import type { Base } from './base';

setWorkerUrl(workerUrl);

// What the map looked at last, so that going from desk to desk does not jump.
let view: { center: [number, number]; zoom: number } | undefined;

export const hasView = (): boolean => view !== undefined;

export async function newMap(container: HTMLElement, base: Base, c: Tokens, region: LngLatBoundsLike, prepare: (m: Maplibre) => void): Promise<Maplibre> {
  const map = new Maplibre({
    container,
    style: styleOf(base, c),
    attributionControl: false,
    maxBounds: [
      [-93, 1],
      [-53, 32],
    ],
    minZoom: 4,
    maxZoom: 18,
    dragRotate: false,
    pitchWithRotate: false,
    renderWorldCopies: false,
    fadeDuration: 0,
    ...(view ? view : { bounds: region, fitBoundsOptions: { padding: 24 } }),
  });
  map.once('style.load', () => prepare(map));
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  await new Promise<void>((done) => map.once('load', () => done()));
  map.on('moveend', () => {
    const { lng, lat } = map.getCenter();
    view = { center: [lng, lat], zoom: map.getZoom() };
  });
  void addStreets(map, c);
  return map;
}
