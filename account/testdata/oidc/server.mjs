// Starts an OpenID Connect provider on a free port of the loopback, prints {"issuer":...} and runs until its standard
// input ends. Any login and password are accepted; what is known of an account comes from the ACCOUNTS variable:
// {"LOGIN": {"email": ..., "email_verified": ..., "preferred_username": ...}}.
import http from 'node:http'
import { Provider } from 'oidc-provider'

const accounts = JSON.parse(process.env.ACCOUNTS)
const server = http.createServer((request, response) => handler(request, response))
let handler

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'konbit',
      client_secret: 'a-secret-of-the-test-that-is-long-enough',
      redirect_uris: [process.env.REDIRECT],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'] },
    conformIdTokenClaims: process.env.USERINFO === 'yes',
    pkce: { required: () => true },
    cookies: { keys: ['test'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts[id] }) }),
  })
  handler = provider.callback()
  console.log(JSON.stringify({ issuer }))
})

process.stdin.on('end', () => process.exit(0)).resume()
