// Writes a plugin's manifest into the module, as the custom section sw.manifest where
// the host reads it before any code runs. The manifest is JSON with the keys of
// docs/abi.md, in the file beside the entry (assembly/index.ts: assembly/index.json) or
// in plugin.json of the base folder.
import { existsSync, readFileSync } from "fs";
import { join } from "path";
import { Transform } from "assemblyscript/transform";

const order = [
  "name", "version", "description", "kind", "mode", "capabilities", "optional_capabilities", "features", "optional_features",
  "fuel", "fuel_per_byte", "configure_fuel", "hold_max", "memory", "history", "candidates", "vocab",
];

/** msgpack of a manifest's values: integers from 0, text, lists of text. */
function pack(value) {
  if (typeof value === "string") {
    const text = Buffer.from(value, "utf8");
    const n = text.length;
    const head = n < 32 ? [0xa0 | n] : n < 256 ? [0xd9, n] : [0xda, n >> 8, n & 255];
    return Buffer.concat([Buffer.from(head), text]);
  }
  if (Array.isArray(value)) {
    const head = value.length < 16 ? [0x90 | value.length] : [0xdc, value.length >> 8, value.length & 255];
    return Buffer.concat([Buffer.from(head), ...value.map(pack)]);
  }
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${JSON.stringify(value)}: want text, a list of text, or an integer from 0`);
  const widths = [[1 << 7, 0, 0], [1 << 8, 0xcc, 1], [1 << 16, 0xcd, 2], [2 ** 32, 0xce, 4], [Infinity, 0xcf, 8]];
  const [, code, width] = widths.find(([below]) => value < below);
  if (width === 0) return Buffer.from([value]);
  const all = Buffer.alloc(8);
  all.writeBigUInt64BE(BigInt(value));
  return Buffer.concat([Buffer.from([code]), all.subarray(8 - width)]);
}

/** The manifest as msgpack; its keys in the order of the ABI's document. */
export function manifest(json) {
  const unknown = Object.keys(json).filter((key) => !order.includes(key));
  if (unknown.length > 0) throw new Error(`unknown keys ${unknown.join(", ")}; known are ${order.join(", ")}`);
  for (const key of ["name", "kind"]) if (!json[key]) throw new Error(`${key} is missing`);
  const keys = order.filter((key) => json[key] !== undefined && json[key] !== "" && json[key] !== 0 && json[key].length !== 0);
  const head = keys.length < 16 ? [0x80 | keys.length] : [0xde, 0, keys.length];
  return Buffer.concat([Buffer.from(head), ...keys.flatMap((key) => [pack(key), pack(json[key])])]);
}

const USER_ENTRY = 1; // of a source's kind

export default class extends Transform {
  afterCompile(module) {
    const entry = this.program.sources.find((s) => s.sourceKind === USER_ENTRY && !s.normalizedPath.startsWith("~"));
    const files = [join(this.baseDir, entry.normalizedPath.replace(/\.ts$/, ".json")), join(this.baseDir, "plugin.json")];
    const file = files.find(existsSync);
    if (!file) throw new Error(`no manifest: neither ${files.join(" nor ")}`);
    try {
      module.addCustomSection("sw.manifest", manifest(JSON.parse(readFileSync(file, "utf8"))));
    } catch (e) {
      throw new Error(`${file}: ${e.message}`);
    }
  }
}
