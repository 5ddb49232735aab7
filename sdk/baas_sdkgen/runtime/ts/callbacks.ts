/** Callbacks of the app, called from the middle of the SDK's own work. */

/** A fault in it is told as one that nobody has caught, and stops nothing here. */
export function callBack(call: () => unknown): void {
  try {
    call()
  } catch (fault) {
    void Promise.reject(fault)
  }
}
