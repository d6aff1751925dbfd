'use strict'
const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')
const { file, lines } = require('./entries')

const paths = lines(process.env.INPUT_PATH || '')
const key = process.env.STATE_key
if (process.env.STATE_matched === key) {
  console.log(`Cache hit occurred on the primary key ${key}, not saving cache.`)
} else {
  const found = paths.map(name => path.resolve(name.replace(/^~(?=\/|$)/, process.env.HOME))).filter(fs.existsSync)
  if (!found.length) {
    console.log('::warning::Path Validation Error: Path(s) specified in the action for caching do(es) not exist')
  } else {
    const target = file(paths, key)
    execFileSync('tar', ['-cPf', `${target}.part`, ...found], { stdio: 'inherit' })
    fs.renameSync(`${target}.part`, target)
    console.log(`Cache saved with key: ${key}`)
  }
}
