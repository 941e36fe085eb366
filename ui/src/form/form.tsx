import { Button, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { api, Problem } from '../api/client';
import { addresseeOf, draftFor, readdressed, relAnswers, type Offer } from '../answer/model';
import { ReleaseLine } from '../answer/release-line';
import { fieldOf, useDesks, type Known } from '../api/desks';
import { newId } from '../api/id';
import { patch } from '../api/live';
import { submit } from '../api/outbox';
import { recordQuery } from '../api/records';
import { useMe } from '../api/session';
import type { Draft, Rec, Wrong } from '../api/types';
import type { Picking } from '../board/board';
import { t } from '../i18n';
import { fromLocalInput, localInput } from '../i18n/time';
import { Icon } from '../part/icon';
import { Banner, Failure, said, Waiting } from '../part/notice';
import { toast } from '../part/toast';
import { wrongAt, wrongWord } from '../part/wrong';
import { isAsked, isEmpty, titleOf, valueAt, withValue } from '../record/body';
import { AttachInput } from './attach-input';
import { blank, draftOf, dropDraft, keepDraft, readDraft, type Kept } from './draft';
import { FieldInput } from './field-input';
import './form.css';
import { LinksInput } from './links-input';
import { MarkingEdit } from './marking-edit';
import { PlaceInput } from './place-input';

interface Props {
  known: Known;
  id?: string;
  answer?: { offer: Offer; about: Rec; known: Known }; // what a new record answers
  done: (id?: string) => void;
  cancel: () => void;
  setPicking: (p: Picking | undefined) => void;
  showMap?: () => void;
}

export default function Form(props: Props) {
  const { known, id } = props;
  const { data, error, refetch } = useQuery({ ...recordQuery(known.kind.name, id ?? ''), enabled: !!id });
  if (id && error && !data) return <Failure error={error} again={() => void refetch()} />;
  if (id && !data) return <Waiting lines={8} />;
  return <Fields key={id ?? 'new'} {...props} record={id ? data : undefined} />;
}

function Fields({ known, id: recordId, answer, record, done, cancel, setPicking, showMap }: Props & { record?: Rec }) {
  const me = useMe();
  const { of } = useDesks();
  const client = useQueryClient();
  const { kind, words } = known;
  // What is answered has a draft of its own.
  const id = recordId ?? (answer && `to-${answer.about.id}`);
  const fresh = () => (answer ? draftFor(answer.offer, answer.about, me) : blank(kind));
  const start = useMemo<{ kept: Kept; resumed: boolean }>(() => {
    const kept = readDraft(me.person.id, kind, id);
    const each = kind.answers?.each;
    if (kept && each && answer?.offer.value) kept.draft.body[each] = answer.offer.value;
    if (kept) return { kept, resumed: true };
    return { kept: record ? { draft: draftOf(record), base: record.version } : { draft: fresh() }, resumed: false };
    // A form starts once; live changes of the record are met when it is saved.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  const [kept, setKept] = useState(start.kept);
  const [resumed, setResumed] = useState(start.resumed);
  const [wrong, setWrong] = useState<Wrong[]>([]);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [uploading, setUploading] = useState(0);
  const box = useRef<HTMLFormElement>(null);
  const { draft, base } = kept;
  const touched = useRef(start.resumed);

  const change = (part: Partial<Draft>) => {
    touched.current = true;
    for (const path of Object.keys(part)) if (path !== 'body') mend(path);
    setKept((k) => ({ ...k, draft: { ...k.draft, ...part } }));
  };

  useEffect(() => {
    if (!touched.current) return;
    const timer = window.setTimeout(() => keepDraft(me.person.id, kind, id, kept), 300);
    return () => window.clearTimeout(timer);
  }, [kept, me.person.id, kind, id]);

  const placed = kind.placed;
  useEffect(() => {
    if (placed) setPicking({ place: draft.place ?? {}, set: (place) => change({ place }) });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [draft.place, placed, setPicking]);
  useEffect(() => {
    box.current?.querySelector<HTMLElement>(answer ? 'textarea' : 'input,textarea,[role=combobox]')?.focus();
  }, []);

  // The keys work from the map too, where the place is set.
  const keys = useRef({ save, cancel });
  keys.current = { save, cancel };
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      const el = e.target as HTMLElement;
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) void keys.current.save();
      if (e.key === 'Escape' && !e.defaultPrevented && !el.closest('[aria-expanded=true],[role=dialog],[role=menu]')) keys.current.cancel();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);

  // What has been mended is no longer shown as wrong.
  const mend = (path: string) => setWrong((all) => all.filter((w) => w.path !== path && !w.path.startsWith(path + '.') && !w.path.startsWith(path + '[')));
  const at = (path: string) => wrongAt(wrong, path);

  async function save(e?: FormEvent) {
    e?.preventDefault();
    if (busy || uploading > 0) return;
    const missing = kind.fields.filter((f) => (f.required || isAsked(f, draft.body)) && isEmpty(valueAt(draft.body, f.path))).map((f): Wrong => ({ path: `body.${f.path}`, code: 'required', message: '' }));
    setWrong(missing);
    setError(undefined);
    if (missing.length) return focusWrong();
    setBusy(true);
    const label = `${words.command(record ? 'edit' : 'create')}: ${titleOf(known, { ...draft, kind: kind.name } as unknown as Rec)}`;
    try {
      const made = await submit({
        key: record ? newId() : draft.id,
        kind: kind.name,
        id: draft.id,
        path: `/records/${encodeURIComponent(kind.name)}${record ? '/' + draft.id : ''}`,
        method: record ? 'PUT' : 'POST',
        etag: record ? `"${base}"` : undefined,
        body: clean(draft, known),
        label,
        person: me.person.id,
      });
      touched.current = false;
      dropDraft(me.person.id, kind, id);
      if (!made) {
        toast(t('outbox.kept'));
        return done(record?.id);
      }
      patch(client, made);
      if (record) void client.invalidateQueries({ queryKey: ['record', kind.name, made.id] });
      else client.setQueryData(recordQuery(kind.name, made.id).queryKey, made);
      toast(label);
      done(made.id);
    } catch (err) {
      setBusy(false);
      setError(err);
      if (err instanceof Problem && err.fields.length) {
        setWrong(err.fields);
        focusWrong();
      }
    }
  }

  function focusWrong() {
    window.setTimeout(() => {
      const first = box.current?.querySelector<HTMLElement>('[aria-invalid=true],[data-error=true] input,[data-wrong]');
      first?.focus();
      first?.scrollIntoView({ block: 'center' });
    }, 60);
  }

  // Somebody else saved first: the person decides with the new version in view.
  async function over() {
    const now = await api<Rec>(`/records/${encodeURIComponent(kind.name)}/${draft.id}`);
    setKept((k) => ({ ...k, base: now.version }));
    setError(undefined);
    patch(client, now);
  }

  const discard = () => {
    touched.current = false;
    dropDraft(me.person.id, kind, id);
    setResumed(false);
    setKept(record ? { draft: draftOf(record), base: record.version } : { draft: fresh() });
  };

  // Header fields stand where a section names them, else after the body.
  const header: Record<string, ReactNode> = {
    place: <PlaceInput key="place" value={draft.place} set={(place) => change({ place })} showMap={placed ? showMap : undefined} error={at('place')} />,
    observed: <TextInput key="observed" type="datetime-local" label={t('observed')} withAsterisk error={at('observed')} value={localInput(draft.observed)} onChange={(e) => change({ observed: fromLocalInput(e.currentTarget.value) ?? draft.observed })} style={{ maxWidth: 240 }} />,
    attachments: <AttachInput key="attachments" value={draft.attachments ?? []} set={(attachments) => change({ attachments })} busy={setUploading} error={at('attachments')} />,
    links: <LinksInput key="links" value={draft.links ?? []} set={(links) => change({ links })} error={at('links')} />,
    marking: <MarkingEdit key="marking" value={draft.marking} set={(marking) => change({ marking })} protect={kind.protect} error={at('marking')} />,
  };
  const sections = kind.sections ?? [];
  const named = new Set(sections.flatMap((s) => s.fields));
  const end = draft.links?.find((l) => l.rel === relAnswers);
  const about = answer?.known ?? of(end?.kind ?? '');
  const put = (path: string, v: unknown) => {
    mend(`body.${path}`);
    touched.current = true;
    setKept((k) => {
      const body = withValue(k.draft.body, path, v);
      // Whom it is addressed to is who may see it.
      const marking = path === kind.address?.to ? readdressed(k.draft.marking, addresseeOf(known, k.draft), String(v ?? '')) : k.draft.marking;
      return { ...k, draft: { ...k.draft, body, marking } };
    });
  };
  const input = (path: string) => {
    if (header[path]) return header[path];
    const f = fieldOf(kind, path);
    const asked = f && isAsked(f, draft.body);
    if (!f || f.set || asked === false) return null;
    return <FieldInput key={path} field={asked ? { ...f, required: true } : f} words={words} kind={kind.name} about={about} value={valueAt(draft.body, path)} set={(v) => put(path, v)} error={at(`body.${path}`)} />;
  };
  // An answer is short: when it was true is now, unless its form asks.
  const others = answer ? [] : [...(placed ? ['place'] : []), 'observed', 'attachments', 'links'];
  const rest = [...kind.fields.filter((f) => !f.set).map((f) => f.path), ...others].filter((p) => !named.has(p));
  const loose = wrong.filter((w) => !/^(body|place|observed|attachments|links|marking)/.test(w.path));

  return (
    <form
      className="form"
      ref={box}
      noValidate
      onSubmit={(e) => void save(e)}
    >
      <div className="form-head">
        <h1>{answer ? words.one : record ? t('edit.kind', { what: words.one }) : t('new.kind', { what: words.one })}</h1>
        {resumed && (
          <span className="mut">
            {t('draft.resumed')}{' '}
            <button type="button" className="plain linky" onClick={discard}>
              {t('discard')}
            </button>
          </span>
        )}
        <button type="button" className="plain icon-btn" style={{ marginLeft: 'auto' }} aria-label={t('cancel')} onClick={cancel}>
          <Icon name="close" />
        </button>
      </div>
      <div className="form-body">
        {sections.filter((s) => !s.fields.every((p) => fieldOf(kind, p)?.set)).map((s) => (
          <Section key={s.name} name={answer && sections.length === 1 ? '' : words.section(s.name)}>
            {s.fields.map(input)}
          </Section>
        ))}
        {rest.length > 0 && <Section name={sections.length ? t('form.rest') : ''}>{rest.map(input)}</Section>}
        {answer ? (
          <Section name="">
            <ReleaseLine known={known} about={answer.about} own={answer.about.owner === me.hat.agency} value={draft.marking} set={(marking) => change({ marking })} error={at('marking')} />
          </Section>
        ) : (
          !record && !named.has('marking') && <Section name={t('who.may')}>{header.marking}</Section>
        )}
      </div>
      <div role="alert">
        {error !== undefined && (
          <div style={{ padding: '10px 16px 0' }}>
            <Banner tone="bad">
              {said(error)} {loose.map((w) => `${w.path}: ${wrongWord(w)}`).join('; ')}
              {error instanceof Problem && error.code === 'conflict' && (
                <button type="button" className="plain linky" style={{ marginLeft: 8 }} onClick={() => void over()}>
                  {t('conflict.over')}
                </button>
              )}
            </Banner>
          </div>
        )}
      </div>
      <div className="form-foot">
        <Button type="submit" loading={busy} disabled={uploading > 0}>
          {uploading > 0 ? t('uploading', { n: uploading }) : t('save')}
          <kbd>Ctrl ↵</kbd>
        </Button>
        <Button variant="default" onClick={cancel}>
          {t('cancel')}
        </Button>
        <span className="mut" style={{ fontSize: 12, marginLeft: 'auto' }}>
          {t('draft.kept')}
        </span>
      </div>
    </form>
  );
}

function Section({ name, children }: { name: string; children: ReactNode }) {
  return (
    <fieldset>
      {name && <legend>{name}</legend>}
      <div className="stack">{children}</div>
    </fieldset>
  );
}

// clean leaves out what was emptied, so that "not known" is not sent as a value,
// and what is no longer asked for.
function clean(d: Draft, { kind }: Known): Draft {
  const out = { ...d };
  for (const f of kind.fields) if (isAsked(f, d.body) === false) out.body = withValue(out.body, f.path, undefined);
  const p = d.place;
  if (!p || (!p.geometry && !p.words && !p.pcode)) delete out.place;
  if (!d.links?.length) delete out.links;
  if (!d.attachments?.length) delete out.attachments;
  return out;
}
