// Which files an artifact gets, and under which names, follows actions/upload-artifact's src/shared/search.ts.
'use strict'
const crypto = require('crypto')
const fs = require('fs')
const path = require('path')

const input = name => (process.env[`INPUT_${name.toUpperCase()}`] || '').trim()
const fail = message => {
  console.log(`::error::${message}`)
  process.exit(1)
}

/** A pattern of one path as a regular expression over absolute paths, and the folder where the search starts. */
function compile(pattern) {
  const absolute = path.resolve(pattern.replace(/^~(?=\/|$)/, process.env.HOME))
  const parts = absolute.split('/')
  const wild = parts.findIndex(part => /[*?[]/.test(part))
  const start = wild < 0 ? absolute : parts.slice(0, wild).join('/') || '/'
  const source = parts
    .map(part =>
      part === '**'
        ? '(?:.*)'
        : part.replace(/[.+^${}()|\\]/g, '\\$&').replace(/\*/g, '[^/]*').replace(/\?/g, '[^/]')
    )
    .join('/')
    .replace(/\/\(\?:\.\*\)/g, '(?:/.*)?')
  // A folder that matches stands for everything below it.
  return { start, matches: new RegExp(`^${source}(?:/.*)?$`) }
}

function* walk(entry, hidden) {
  if (!fs.existsSync(entry)) return
  if (!fs.statSync(entry).isDirectory()) {
    yield entry
    return
  }
  for (const name of fs.readdirSync(entry).sort()) {
    if (hidden || !name.startsWith('.')) yield* walk(path.join(entry, name), hidden)
  }
}

function commonFolder(folders) {
  const split = folders.map(folder => folder.split('/'))
  let depth = 0
  while (split.every(parts => parts.length > depth && parts[depth] === split[0][depth])) depth++
  return split[0].slice(0, depth).join('/') || '/'
}

function search(lines, hidden) {
  const files = new Set()
  const starts = []
  for (const line of lines) {
    if (line.startsWith('!')) {
      const { matches } = compile(line.slice(1))
      for (const file of files) if (matches.test(file)) files.delete(file)
      continue
    }
    const { start, matches } = compile(line)
    starts.push(start)
    for (const file of walk(start, hidden)) if (matches.test(file)) files.add(file)
  }
  const found = [...files].sort()
  if (starts.length > 1) return { found, root: commonFolder(starts) }
  return { found, root: found.length === 1 && found[0] === starts[0] ? path.dirname(starts[0]) : starts[0] }
}

const store = process.env.FLINT_ML_TEST_ARTIFACTS
if (!store) fail('This stand-in needs the variable FLINT_ML_TEST_ARTIFACTS: the folder for artifacts.')
if (input('archive') !== 'true') fail('This stand-in knows archive: true only.')
const name = input('name')
if (!name || /["<>|*?:\r\n\\/]/.test(name)) fail(`The artifact name is not valid: ${name}`)
const lines = input('path').split('\n').map(line => line.trim()).filter(line => line && !line.startsWith('#'))
if (!lines.length) fail('Input required and not supplied: path')

const { found, root } = search(lines, input('include-hidden-files') === 'true')
if (!found.length) {
  const message = `No files were found with the provided path: ${lines.join(' ')}. No artifacts will be uploaded.`
  if (input('if-no-files-found') === 'error') fail(message)
  if (input('if-no-files-found') === 'warn') console.log(`::warning::${message}`)
  process.exit(0)
}
const run = path.join(store, process.env.GITHUB_RUN_ID)
const target = path.join(run, name)
if (fs.existsSync(target)) {
  if (input('overwrite') !== 'true') fail(`Conflict: an artifact with this name already exists on the workflow run: ${name}`)
  fs.rmSync(target, { recursive: true })
}
const digest = crypto.createHash('sha256')
for (const file of found) {
  const relative = path.relative(root, file)
  const copy = path.join(target, relative)
  fs.mkdirSync(path.dirname(copy), { recursive: true })
  fs.copyFileSync(file, copy)
  // The archive keeps no permissions: neither does the real action.
  fs.chmodSync(copy, 0o644)
  digest.update(relative).update('\0').update(fs.readFileSync(file))
}
const id = Date.now()
const hex = digest.digest('hex')
fs.writeFileSync(`${target}.json`, JSON.stringify({ name, id, digest: `sha256:${hex}` }))
const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: number } = process.env
const url = `${server}/${repository}/actions/runs/${number}/artifacts/${id}`
fs.appendFileSync(process.env.GITHUB_OUTPUT, `artifact-id=${id}\nartifact-url=${url}\nartifact-digest=${hex}\n`)
console.log(`Artifact ${name} has been successfully uploaded! ${found.length} file(s). Artifact ID is ${id}`)
