// What work needs is fetched soon after the first screen, so that it is there
// when the link is not.
const parts = [
  () => import('../record/drawer'),
  () => import('../form/form'),
  () => import('../answer/composer'),
  () => import('../record/act-dialog'),
  () => import('../record/release'),
  () => import('./palette'),
  () => import('./keys'),
];

export function loadAhead(): () => void {
  const timer = window.setTimeout(async () => {
    // One after the other: on a slow link the screen that is looked at goes first.
    for (const part of parts) await part().catch(() => undefined);
  }, 1200);
  return () => window.clearTimeout(timer);
}
