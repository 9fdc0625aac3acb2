// Package emu executes kernels without a GPU. It fulfils package driver's interface
// by interpreting PTX: the text a module prints is parsed again, verified, and that
// is what runs, so a kernel that passes here has been written, printed, read, checked
// and executed.
//
// # How it runs
//
// A kernel is decoded once into an array of instructions, each a function over the
// 32 lanes of a warp. Lanes of a warp are on one path or on several; the path at the
// lowest instruction goes first, so that lanes meet again where structured code
// joins. Warps of a block take turns at random, after long runs and after single
// instructions; blocks are executed in random order, on as many goroutines as there
// are processors, each block to its end. Options.Seed decides; with Options.Workers
// 1 everything is reproducible, else all but the order of atomics between blocks.
//
// Streams do their work as late as the interface allows, when somebody waits for it,
// so that host memory touched too early shows. What a kernel does wrong is reported
// by the call that waits, with the driver's code, and is sticky, as on a GPU.
//
// # What it proves
//
// That a kernel computes what it should, and that it keeps rules hardware does not
// check. A violation is a Fault that names the kernel, the instruction, the Go that
// wrote it, block, warp, lane and address:
//
//   - Device memory: accesses outside of allocations (which lie apart, and whose
//     addresses are not used again once freed) and misaligned ones; ld.global.nc of
//     what the same launch writes. Fresh memory holds 0xFF, which is NaN.
//   - Shared memory: accesses outside the block's and misaligned ones; races, also
//     between lanes of a warp without bar.warp.sync. Order comes from bar, bar.arrive,
//     bar.warp.sync, mbarriers and the waits of copies. Fresh memory holds 0xFF.
//   - Registers that are read before they are written.
//   - Convergence: .aligned instructions by part of a warp, members missing from the
//     mask of a shuffle or vote, barriers with different counts, barriers not all
//     reach, endless loops (Options.Steps).
//   - cp.async and cp.async.bulk: the destination is poisoned and untouchable until
//     the thread has waited, or the mbarrier's phase is complete; bulk copies land at
//     a random time after their issue, and late if nobody needs them; a try_wait may
//     give up early. Copies nobody waits for; mbarriers used without having been
//     initialised, without a fence or an order after that, with too many arrivals, or
//     by ordinary accesses.
//   - The asynchronous proxy: ordinary stores that wgmma or a bulk copy meets without
//     fence.proxy.async between.
//   - wgmma: sums touched, A's registers changed or shared memory overwritten before
//     wgmma.wait_group; no wgmma.fence after registers were written; sums added to
//     that have no value; warps of a warpgroup that do not execute the same.
//   - Programmatic dependent launches: reads of what the launches before wrote, and
//     any write, before griddepcontrol.wait; threads that end without it.
//   - Races between blocks on device memory: what one block of a launch writes and
//     another reads or writes needs a fence or release, a strong access, and a fence or
//     acquire (grids of up to 8192 blocks).
//
// # What it does not prove
//
// Anything about speed. And:
//
//   - Memory is sequentially consistent. That a fence is missing is noticed between
//     blocks and towards the asynchronous proxy, not between the warps of a block
//     that use atomics on shared memory to order other accesses (which it would
//     report as races).
//   - Accesses of less than 4 bytes to shared memory remember one lane and warp for
//     each word; a race can hide behind a later access to the other half.
//   - A write after a read by another lane of the same warp is not reported, nor is
//     one to device memory after a read by another block.
//   - Approximate functions (ex2, rcp, sin, ...) are float64's, rounded: hardware is
//     within the ISA's bounds, the emulator much nearer. mma and wgmma add in float64
//     and round once; hardware keeps fewer bits between.
//   - NaNs that results carry may have other bits than hardware's 0x7FFFFFFF.
//   - Blocks do not run side by side: a block that waits for another is reported as a
//     hang.
//   - Only K-major wgmma operands, no clusters, no tensor maps, no generic addresses,
//     no local memory. What is not emulated is refused when it is loaded.
//   - Where one lane waits for an mbarrier, its whole warp counts as having waited.
package emu
