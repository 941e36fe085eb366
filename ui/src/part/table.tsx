import type { ReactNode } from 'react';

// Table is a list of rows under headings. It scrolls by itself where it is too wide. A heading
// of '' stands over buttons.
export function Table({ heads, children }: { heads: string[]; children: ReactNode }) {
  return (
    <div className="table-wrap">
      <table className="table">
        <thead>
          <tr>
            {heads.map((h, i) => (h ? <th key={i}>{h}</th> : <th key={i} />))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
