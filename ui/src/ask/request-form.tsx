import { Button, Modal } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { api, Problem } from '../api/client';
import { may, type Known } from '../api/desks';
import type { Answer, Question } from '../api/peers';
import type { Body, Rec, Wrong as Fault } from '../api/types';
import { FieldInput } from '../form/field-input';
import { t } from '../i18n';
import { toast } from '../part/toast';
import { wrongAt } from '../part/wrong';
import { Wrong } from '../peers/wrong';
import { isEmpty, valueAt, withValue } from '../record/body';
import { boardPath, go } from '../router';

interface Props {
  question: Question;
  answer: Answer;
  known: Known;
  close: () => void;
}

// RequestForm asks who has a hit for what they hold. It becomes a record of ours
// that only they see; they decide.
export default function RequestForm({ question: q, answer: a, known, close }: Props) {
  const { kind, words } = known;
  // To whom it goes is set by the node, from the hit.
  const fields = kind.fields.filter((f) => f.path !== kind.address?.to);
  const [body, setBody] = useState<Body>({});
  const [wrong, setWrong] = useState<Fault[]>([]);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  async function submit(e: FormEvent) {
    e.preventDefault();
    const missing = fields.filter((f) => f.required && isEmpty(valueAt(body, f.path))).map((f): Fault => ({ path: `body.${f.path}`, code: 'required', message: '' }));
    setWrong(missing);
    setError(undefined);
    if (missing.length) return;
    setBusy(true);
    try {
      const made = await api<Rec | undefined>(`/questions/${encodeURIComponent(q.id)}/request`, { method: 'POST', json: { node: a.short, body } });
      toast(t('ask.requested', { who: a.title }));
      close();
      if (made?.id && kind.canRead) go(boardPath(kind.name, made.id));
    } catch (err) {
      setError(err);
      if (err instanceof Problem) setWrong(err.fields);
      setBusy(false);
    }
  }

  return (
    <Modal opened onClose={close} title={`${t('ask.request')}: ${a.title}`} size="lg">
      <form className="stack" noValidate onSubmit={(e) => void submit(e)}>
        <p className="mut">{t('ask.request.words', { who: a.title })}</p>
        {fields.map((f) => (
          <FieldInput
            key={f.path}
            field={f}
            words={words}
            kind={kind.name}
            value={valueAt(body, f.path)}
            set={(v) => {
              setWrong(wrong.filter((w) => !w.path.startsWith(`body.${f.path}`)));
              setBody(withValue(body, f.path, v));
            }}
            error={wrongAt(wrong, `body.${f.path}`)}
          />
        ))}
        <Wrong error={error} />
        <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            {t('cancel')}
          </Button>
          <Button type="submit" loading={busy} disabled={!may(kind, 'create')}>
            {t('ask.request')}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
