/** `node in-existing.js BUNDLE`: runs tests/sdk/existing in the fake of wx; prints what it saw. */

import { createPlace, load } from '../fakes/place.js'
import { createWx } from '../fakes/wx.js'

const fake = createWx({ code: 'existing-code' })
const program = load(createPlace({ wx: fake.wx }), process.argv[2])
const seen = JSON.parse(await program.run({ picture: fake.files.make('a picture', '.png') }))
console.log(JSON.stringify({ seen, called: fake.called.filter((name) => name !== 'env') }))
fake.close()
process.exit(0)
