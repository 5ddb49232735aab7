require('fs').writeFileSync('dist/cjs/package.json', '{"type":"commonjs"}\n')
