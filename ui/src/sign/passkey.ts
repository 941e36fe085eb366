import { api, query } from '../api/client';
import type { Session } from '../api/types';

// WebAuthn speaks in bytes, JSON in base64url: RFC 4648 §5 without padding.
function bytes(s: string): ArrayBuffer {
  const b = atob(s.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(b, (c) => c.charCodeAt(0)).buffer;
}

function text(b: ArrayBuffer | null): string | undefined {
  if (!b) return undefined;
  return btoa(String.fromCharCode(...new Uint8Array(b)))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '');
}

interface Described {
  id: string;
  type: 'public-key';
}

const descriptors = (list?: Described[]) => list?.map((d) => ({ ...d, id: bytes(d.id) }));

export const passkeysWork = () => window.isSecureContext && 'PublicKeyCredential' in window;

export async function signInWithPasskey(): Promise<Session> {
  const { publicKey: o } = await api<{ publicKey: { challenge: string; allowCredentials?: Described[] } & Record<string, unknown> }>('/passkeys/login/begin', { method: 'POST' });
  const got = (await navigator.credentials.get({ publicKey: { ...o, challenge: bytes(o.challenge), allowCredentials: descriptors(o.allowCredentials) } })) as PublicKeyCredential;
  const r = got.response as AuthenticatorAssertionResponse;
  return api<Session>('/passkeys/login/finish', {
    method: 'POST',
    json: {
      id: got.id,
      rawId: text(got.rawId),
      type: got.type,
      response: { authenticatorData: text(r.authenticatorData), clientDataJSON: text(r.clientDataJSON), signature: text(r.signature), userHandle: text(r.userHandle) },
    },
  });
}

interface Creation {
  challenge: string;
  user: { id: string; name: string; displayName: string };
  rp: PublicKeyCredentialRpEntity;
  pubKeyCredParams: PublicKeyCredentialParameters[];
  excludeCredentials?: Described[];
}

export async function addPasskey(name: string): Promise<void> {
  const { publicKey: o } = await api<{ publicKey: Creation }>('/passkeys/register/begin', { method: 'POST' });
  const made = (await navigator.credentials.create({
    publicKey: { ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: descriptors(o.excludeCredentials) },
  })) as PublicKeyCredential;
  const r = made.response as AuthenticatorAttestationResponse;
  await api('/passkeys/register/finish' + query({ name }), {
    method: 'POST',
    json: { id: made.id, rawId: text(made.rawId), type: made.type, response: { attestationObject: text(r.attestationObject), clientDataJSON: text(r.clientDataJSON) } },
  });
}
