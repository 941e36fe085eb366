import { Modal } from '@mantine/core';
import { t } from '../i18n';

export default function Keys({ close }: { close: () => void }) {
  const rows: [string[], string][] = [
    [['J', '↓'], t('keys.next')],
    [['K', '↑'], t('keys.prev')],
    [['Enter'], t('keys.open')],
    [['Esc'], t('keys.close')],
    [['N'], t('keys.new')],
    [['E'], t('keys.edit')],
    [['A'], t('answer.key')],
    [['M'], t('keys.map')],
    [['L'], t('keys.list')],
    [['/', 'Ctrl K'], t('keys.search')],
    [['?'], t('keys.help')],
  ];
  return (
    <Modal opened onClose={close} title={t('keys')} size="sm">
      <table className="table">
        <tbody>
          {rows.map(([keys, word]) => (
            <tr key={word}>
              <td style={{ whiteSpace: 'nowrap' }}>
                {keys.map((k) => (
                  <span key={k}>
                    <kbd>{k}</kbd>{' '}
                  </span>
                ))}
              </td>
              <td>{word}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Modal>
  );
}
