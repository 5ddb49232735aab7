const { attempt, signedIn } = require('./lib/board')

App({
  onLaunch() {
    attempt(signedIn)
  },
})
