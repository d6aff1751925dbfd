// Says which R the job image has, as setup-r does after it has installed one; it downloads none.
'use strict'
const { spawnSync } = require('child_process')
const fs = require('fs')

const asked = spawnSync('Rscript', ['-e', 'cat(as.character(getRversion()))'], { encoding: 'utf8' })
if (asked.status !== 0) {
  console.log('::error::The job image has no Rscript.')
  process.exit(1)
}
fs.appendFileSync(process.env.GITHUB_OUTPUT, `installed-r-version=${asked.stdout.trim()}\n`)
console.log(`R ${asked.stdout.trim()} is on the PATH`)
