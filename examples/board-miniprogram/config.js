// The address of the gateway. On a real phone: https, and named in the mini-program's settings under
// request, socket, uploadFile and downloadFile.
module.exports = { url: 'http://127.0.0.1:8000' }
