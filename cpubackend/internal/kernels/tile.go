package kernels

// tileRows is the number of weight rows multiplied together when the batch has
// several activation rows.
const tileRows = 16
