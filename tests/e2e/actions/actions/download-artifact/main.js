// Which artifacts are taken, and where they go, follows actions/download-artifact's src/download-artifact.ts.
'use strict'
const fs = require('fs')
const path = require('path')

const input = name => (process.env[`INPUT_${name.toUpperCase()}`] || '').trim()
const fail = message => {
  console.log(`::error::${message}`)
  process.exit(1)
}

const store = process.env.FLINT_ML_TEST_ARTIFACTS
if (!store) fail('This stand-in needs the variable FLINT_ML_TEST_ARTIFACTS: the folder of artifacts.')
if (input('skip-decompress') === 'true') fail('This stand-in knows skip-decompress: false only.')
if (input('name') && input('artifact-ids')) fail("Inputs 'name' and 'artifact-ids' cannot be used together.")

// Without a token only this run's artifacts can be had.
const number = input('github-token') ? input('run-id') : process.env.GITHUB_RUN_ID
const run = path.join(store, number)
const all = (fs.existsSync(run) ? fs.readdirSync(run) : [])
  .filter(file => file.endsWith('.json'))
  .map(file => JSON.parse(fs.readFileSync(path.join(run, file), 'utf8')))
  .sort((one, other) => (one.name < other.name ? -1 : 1))

let wanted = all
if (input('name')) {
  wanted = all.filter(artifact => artifact.name === input('name'))
  if (!wanted.length) fail(`Unable to download artifact(s): Artifact not found for name: ${input('name')}`)
} else if (input('artifact-ids')) {
  const ids = input('artifact-ids').split(',').map(id => Number(id.trim()))
  wanted = all.filter(artifact => ids.includes(artifact.id))
  if (!wanted.length) fail('None of the provided artifact IDs were found')
} else if (input('pattern')) {
  const source = input('pattern').replace(/[.+^${}()|\\[\]]/g, '\\$&').replace(/\*/g, '[^/]*').replace(/\?/g, '[^/]')
  wanted = all.filter(artifact => new RegExp(`^${source}$`).test(artifact.name))
}

const destination = path.resolve((input('path') || process.env.GITHUB_WORKSPACE).replace(/^~(?=\/|$)/, process.env.HOME))
fs.mkdirSync(destination, { recursive: true })
for (const artifact of wanted) {
  const direct = input('name') || input('merge-multiple') === 'true' || wanted.length === 1
  const target = direct ? destination : path.join(destination, artifact.name)
  fs.cpSync(path.join(run, artifact.name), target, { recursive: true })
  console.log(`Artifact download completed: ${artifact.name} (ID ${artifact.id}) to ${target}`)
}
fs.appendFileSync(process.env.GITHUB_OUTPUT, `download-path=${destination}\n`)
console.log(`Total of ${wanted.length} artifact(s) downloaded`)
