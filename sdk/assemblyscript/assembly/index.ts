// The guest side of sandwarp for AssemblyScript: a plugin is a class with a few
// methods, and one line that exports them (see README.md). It speaks version 1 of the
// ABI (docs/abi.md of the project).
//
// The host calls from one thread and never re-enters. There are no files, no network
// and no real time. What fails says so with fail() and returns its code; a trap counts
// as a fault of the plugin.

export * from "./abi";
export * from "./bytes";
export * from "./error";
export * from "./filter";
export * from "./host";
export * from "./message";
export * from "./sampler";
export * from "./text";
export * from "./tokenizer";
export { serveFilter, serveSampler, serveTokenizer } from "./served";
