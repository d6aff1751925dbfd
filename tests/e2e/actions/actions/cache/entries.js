// An entry is one archive: <hash of the paths>-<key, percent-encoded>.tar, for a key is only valid for the same paths.
'use strict'
const crypto = require('crypto')
const fs = require('fs')
const path = require('path')

exports.lines = text => text.split('\n').map(line => line.trim()).filter(Boolean)

exports.fail = message => {
  console.log(`::error::${message}`)
  process.exit(1)
}

exports.folder = () => {
  const store = process.env.FLINT_ML_TEST_CACHE
  if (!store) exports.fail('This stand-in needs the variable FLINT_ML_TEST_CACHE: the folder of cache entries.')
  fs.mkdirSync(store, { recursive: true })
  return store
}

const version = paths => crypto.createHash('sha256').update(paths.join('|')).digest('hex').slice(0, 12)

exports.file = (paths, key) => path.join(exports.folder(), `${version(paths)}-${encodeURIComponent(key)}.tar`)

/** Keys of the entries for these paths, newest first. */
exports.keys = paths => {
  const prefix = `${version(paths)}-`
  return fs
    .readdirSync(exports.folder())
    .filter(name => name.startsWith(prefix) && name.endsWith('.tar'))
    .map(name => ({ name, time: fs.statSync(path.join(exports.folder(), name)).mtimeMs }))
    .sort((one, other) => other.time - one.time)
    .map(({ name }) => decodeURIComponent(name.slice(prefix.length, -'.tar'.length)))
}
