'use strict'
const { execFileSync } = require('child_process')
const fs = require('fs')
const { fail, file, keys, lines } = require('./entries')

const input = name => (process.env[`INPUT_${name.toUpperCase()}`] || '').trim()
const paths = lines(input('path'))
const key = input('key')
if (!paths.length || !key) fail('Input required and not supplied: path and key')

const known = keys(paths)
const prefixes = [key, ...lines(input('restore-keys'))]
const match = known.includes(key) ? key : prefixes.map(prefix => known.find(entry => entry.startsWith(prefix))).find(Boolean)
fs.appendFileSync(process.env.GITHUB_STATE, `key=${key}\nmatched=${match || ''}\n`)
if (!match) {
  if (input('fail-on-cache-miss') === 'true') fail(`Failed to restore cache entry. Input key: ${key}`)
  console.log(`Cache not found for input keys: ${prefixes.join(', ')}`)
} else {
  fs.appendFileSync(process.env.GITHUB_OUTPUT, `cache-hit=${match === key}\n`)
  if (input('lookup-only') !== 'true') execFileSync('tar', ['-xPf', file(paths, match)], { stdio: 'inherit' })
  console.log(`Cache ${input('lookup-only') === 'true' ? 'found and can be ' : ''}restored from key: ${match}`)
}
