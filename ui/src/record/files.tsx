import { attachmentUrl } from '../api/records';
import type { Attachment, Rec } from '../api/types';
import { t } from '../i18n';
import { bytes } from '../i18n/time';
import { Icon } from '../part/icon';

export function Files({ record: r }: { record: Rec }) {
  return (
    <section className="sec">
      <h3>{t('attachments')}</h3>
      <div className="files">
        {r.attachments!.map((a) => (
          <File key={a.hash} record={r} file={a} />
        ))}
      </div>
    </section>
  );
}

function File({ record: r, file: a }: { record: Rec; file: Attachment }) {
  const url = attachmentUrl(r.kind, r.id, a);
  const name = a.name || a.type;
  if (a.type.startsWith('image/'))
    return (
      <figure>
        <a href={url} target="_blank" rel="noreferrer">
          <img src={attachmentUrl(r.kind, r.id, a, true)} alt={name} loading="lazy" />
        </a>
        <figcaption>{name}</figcaption>
      </figure>
    );
  if (a.type.startsWith('audio/'))
    return (
      <figure className="wide">
        <audio controls preload="none" src={url} />
        <figcaption>
          {name} · {bytes(a.size)}
        </figcaption>
      </figure>
    );
  return (
    <a className="doc wide" href={url} target="_blank" rel="noreferrer">
      <Icon name="file" />
      <span>{name}</span>
      <span className="mut">{bytes(a.size)}</span>
    </a>
  );
}
