import { Menu, useMantineColorScheme } from '@mantine/core';
import { useMe, useSessionActs } from '../api/session';
import type { Role, SignedIn, Theme } from '../api/types';
import { langNames, langs, speak, t, useLang } from '../i18n';
import { Icon } from '../part/icon';
import { said } from '../part/notice';
import { toast } from '../part/toast';
import { go } from '../router';
import { Brand } from '../sign/frame';
import { PeerDots } from './peer-dots';

const rank: Role[] = ['supervisor', 'operator', 'administrator', 'auditor', 'viewer'];

export function roleWord(me: SignedIn): string {
  const all = new Set(Object.values(me.roles).flat());
  const best = rank.find((r) => all.has(r));
  return best ? t(`role.${best}`) : '';
}

export function TopBar({ find, keys }: { find: () => void; keys: () => void }) {
  const me = useMe();
  return (
    <header className="top">
      <Brand />
      {me.demo && <span className="demo-tag">DEMO</span>}
      <Hat me={me} />
      <button className="plain top-find" onClick={find} aria-label={`${t('search.hint')} Ctrl K`}>
        <span>
          <Icon name="search" />
          <span>{t('search.hint')}</span>
        </span>
        <kbd>Ctrl K</kbd>
      </button>
      <PeerDots />
      <LangMenu />
      <PersonMenu me={me} keys={keys} />
    </header>
  );
}

function Hat({ me }: { me: SignedIn }) {
  const acts = useSessionActs();
  const words = (
    <>
      <b>{me.hat.name}</b>
      <span className="mut top-role">· {roleWord(me)}</span>
    </>
  );
  if (me.hats.length < 2) return <div className="top-hat">{words}</div>;
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <button className="plain top-hat" aria-label={`${t('hat')}: ${me.hat.name} · ${roleWord(me)}`}>
          {words}
          <Icon name="down" size={14} />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('hat')}</Menu.Label>
        {me.hats.map((h) => (
          <Menu.Item key={h.agency} leftSection={<Tick on={h.agency === me.hat.agency} />} onClick={() => acts.change({ hat: h.agency }).catch((e) => toast(said(e)))}>
            {h.name} <span className="mut">{h.agency}</span>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

const Tick = ({ on }: { on: boolean }) => <span style={{ width: 16, display: 'inline-block' }}>{on && <Icon name="check" size={15} />}</span>;

export function useChoose() {
  const acts = useSessionActs();
  const { setColorScheme } = useMantineColorScheme();
  return {
    // Both are shown at once and told to the node, which may be out of reach.
    language: (l: (typeof langs)[number]) => void speak(l).then(() => acts.change({ lang: l })).catch(() => undefined),
    theme: (theme: Theme) => {
      setColorScheme(theme);
      acts.change({ theme }).catch(() => undefined);
    },
  };
}

function LangMenu() {
  const now = useLang();
  const { language } = useChoose();
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <button className="plain top-btn" aria-label={`${t('language')}: ${langNames[now]}`}>
          <span className="wide">{langNames[now]}</span>
          <Icon name="globe" />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {langs.map((l) => (
          <Menu.Item key={l} lang={l} leftSection={<Tick on={l === now} />} onClick={() => language(l)}>
            {langNames[l]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function PersonMenu({ me, keys }: { me: SignedIn; keys: () => void }) {
  const acts = useSessionActs();
  const { colorScheme } = useMantineColorScheme();
  const { theme } = useChoose();
  return (
    <Menu position="bottom-end" width={230}>
      <Menu.Target>
        <button className="plain top-btn" aria-label={me.person.name}>
          <span className="wide">{me.person.name}</span>
          <Icon name="down" size={14} />
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{me.person.id}</Menu.Label>
        <Menu.Item leftSection={<Icon name="settings" size={16} />} onClick={() => go('/settings')}>
          {t('settings')}
        </Menu.Item>
        <Menu.Item leftSection={<Icon name="keyboard" size={16} />} onClick={keys}>
          {t('keys')}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>{t('theme')}</Menu.Label>
        {(['auto', 'light', 'dark'] as const).map((v) => (
          <Menu.Item key={v} leftSection={<Tick on={colorScheme === v} />} onClick={() => theme(v)}>
            {t(`theme.${v}`)}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item leftSection={<Icon name="out" size={16} />} onClick={() => acts.signOut().catch((e) => toast(said(e)))}>
          {t('signOut')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
