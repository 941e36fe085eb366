import { Problem } from '../api/client';
import { Banner, said } from '../part/notice';
import { wrongWord } from '../part/wrong';

// Wrong says why an order was refused: in the reader's words, then in the
// node's own, which name the thing.
export function Wrong({ error }: { error: unknown }) {
  if (error === undefined) return null;
  const p = error instanceof Problem ? error : undefined;
  const more = p && [...p.fields.map(wrongWord), p.detail !== said(error) && p.detail, p.hint].filter((x, i, all) => x && all.indexOf(x) === i).join('. ');
  return (
    <Banner tone="bad">
      <b>{said(error)}</b>
      {more && <div>{more}</div>}
    </Banner>
  );
}
