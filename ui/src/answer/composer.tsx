import { useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';
import type { Known } from '../api/desks';
import type { Rec } from '../api/types';
import type { Picking } from '../board/board';
import Form from '../form/form';
import type { Offer } from './model';

interface Props {
  offer: Offer;
  about: Rec;
  aboutKnown: Known;
  close: () => void;
  setPicking?: (p: Picking | undefined) => void;
}

const nowhere = () => undefined;

// Composer writes an answer below the record that it answers, which stays in
// sight. It is the form of every record, with what can be known filled in.
export default function Composer({ offer, about, aboutKnown, close, setPicking = nowhere }: Props) {
  const client = useQueryClient();
  const box = useRef<HTMLDivElement>(null);
  const end = () => {
    setPicking(undefined);
    close();
  };
  return (
    <div
      className="composer"
      ref={box}
      onKeyDown={(e) => {
        // The drawer beneath would close on it, too.
        if (e.key !== 'Escape' || e.defaultPrevented || (e.target as HTMLElement).closest('[aria-expanded=true],[role=menu],[role=dialog]')) return;
        e.preventDefault();
        end();
      }}
    >
      <Form
        key={offer.known.kind.name + (offer.value ?? '')}
        known={offer.known}
        answer={{ offer, about, known: aboutKnown }}
        done={() => {
          void client.invalidateQueries({ queryKey: ['record', about.kind, about.id, 'links'] });
          end();
        }}
        cancel={end}
        setPicking={setPicking}
      />
    </div>
  );
}
