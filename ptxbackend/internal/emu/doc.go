// Package emu executes kernels without a GPU. It fulfils package driver's interface
// by interpreting PTX: the text a module prints is parsed again and that is what
// runs, so a kernel that passes here has been written, printed, read and executed.
package emu
