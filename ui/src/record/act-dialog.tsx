import { Button, Modal, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Problem } from '../api/client';
import type { Known } from '../api/desks';
import { holdersQuery } from '../api/peers';
import type { Body, Rec } from '../api/types';
import { FieldInput } from '../form/field-input';
import { t } from '../i18n';
import { Banner, said } from '../part/notice';
import { wrongAt } from '../part/wrong';
import { titleOf, valueAt, withValue } from './body';
import { GiveBack } from './holders';
import { useAct } from './use-act';

interface Props {
  known: Known;
  record: Rec;
  command: string;
  args?: Body;
  note?: string;
  close: () => void;
}

// ActDialog asks for what a command needs: its arguments, and a reason where
// something is destroyed.
export default function ActDialog({ known, record: r, command, args: given, note: noted, close }: Props) {
  const fields = known.kind.args?.[command] ?? [];
  const [args, setArgs] = useState<Body>(given ?? {});
  const [note, setNote] = useState(noted ?? '');
  const { run, busy, error } = useAct(known, r);
  const erase = command === 'erase';
  const { data: holders = [] } = useQuery({ ...holdersQuery(r.kind, r.id), enabled: erase });
  const words = { ...known.words, field: (path: string) => known.words.arg(command, path), value: (path: string, v: string) => known.words.arg(command, `${path}.${v}`) };

  const submit = (e: FormEvent) => {
    e.preventDefault();
    void run(command, { note, args: fields.length ? args : undefined }).then((ok) => ok && close());
  };

  return (
    <Modal opened onClose={close} title={known.words.command(command)}>
      <form className="stack" onSubmit={submit}>
        <div className="mut">{titleOf(known, r)}</div>
        {erase && (
          <Banner tone="bad">
            {t('erase.words')}
            <GiveBack holders={holders} />
          </Banner>
        )}
        {fields.map((f) => (
          <FieldInput key={f.path} field={f} words={words} kind={r.kind} value={valueAt(args, f.path)} set={(v) => setArgs(withValue(args, f.path, v))} error={error instanceof Problem ? wrongAt(error.fields, `args.${f.path}`) : undefined} />
        ))}
        <Textarea label={t('note')} required={erase} autosize minRows={2} value={note} onChange={(e) => setNote(e.currentTarget.value)} />
        {error !== undefined && <Banner tone="bad">{said(error)}</Banner>}
        <div className="row-flex" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            {t('cancel')}
          </Button>
          <Button type="submit" loading={busy} className={erase ? 'danger' : undefined}>
            {known.words.command(command)}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
