// Puts a real cml on the PATH where the test has one, else one that only keeps what it was called with.
'use strict'
const fs = require('fs')
const path = require('path')

const real = process.env.FLINT_ML_TEST_CML
const folder = real || path.join(process.env.RUNNER_TEMP || '/tmp', 'cml-recorder')
if (!real) {
  fs.mkdirSync(folder, { recursive: true })
  const lines = [
    '#!/usr/bin/env node',
    "const keep = ['REPO_TOKEN', 'GITHUB_TOKEN', 'AWS_ACCESS_KEY_ID']",
    'const set = keep.filter(name => process.env[name])',
    "const line = JSON.stringify({ run: process.env.GITHUB_RUN_ID, argv: process.argv.slice(2), set })",
    "require('fs').appendFileSync(`${process.env.FLINT_ML_TEST_ARTIFACTS}/cml-calls.jsonl`, `${line}\\n`)",
    "console.log(`cml ${process.argv.slice(2).join(' ')}`)",
  ]
  fs.writeFileSync(path.join(folder, 'cml'), `${lines.join('\n')}\n`, { mode: 0o755 })
}
fs.appendFileSync(process.env.GITHUB_PATH, `${folder}\n`)
console.log(real ? `cml of ${real}` : 'a cml that only keeps its words')
