// Finds a Python below RUNNER_TOOL_CACHE/Python/<version>/x64, as actions/setup-python does; it downloads none.
'use strict'
const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')

const input = name => (process.env[`INPUT_${name.toUpperCase()}`] || '').trim()
const fail = message => {
  console.log(`::error::${message}`)
  process.exit(1)
}

const file = input('python-version-file') || (fs.existsSync('.python-version') ? '.python-version' : '')
const wanted = input('python-version') || (file ? fs.readFileSync(file, 'utf8').trim() : '')
const versions = path.join(process.env.RUNNER_TOOL_CACHE || '/opt/hostedtoolcache', 'Python')
const pattern = new RegExp(`^${wanted.replace(/\./g, '\\.').replace(/\bx\b/g, '\\d+')}(\\.|$)`)
const found = fs.readdirSync(versions).filter(version => !wanted || pattern.test(version))
if (!found.length) fail(`The job image has Python ${fs.readdirSync(versions).join(', ')}; the workflow asks for ${wanted}.`)

const home = path.join(versions, found[found.length - 1], 'x64')
const python = path.join(home, 'bin', 'python')
const version = execFileSync(python, ['-c', 'import platform; print(platform.python_version())'], { encoding: 'utf8' }).trim()
if (input('update-environment') !== 'false') {
  fs.appendFileSync(process.env.GITHUB_PATH, `${home}\n${home}/bin\n`)
  const variables = ['pythonLocation', 'Python_ROOT_DIR', 'Python2_ROOT_DIR', 'Python3_ROOT_DIR'].map(name => `${name}=${home}\n`)
  variables.push(`PKG_CONFIG_PATH=${home}/lib/pkgconfig\n`, `LD_LIBRARY_PATH=${home}/lib\n`)
  fs.appendFileSync(process.env.GITHUB_ENV, variables.join(''))
}
fs.appendFileSync(process.env.GITHUB_OUTPUT, `python-version=${version}\ncache-hit=false\npython-path=${python}\n`)
console.log(`Successfully set up CPython (${version})`)
