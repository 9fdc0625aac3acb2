"""GGUF version 3: as much of it as this model needs. Q8_0 and F32 tensors, written and read back with numpy."""
import struct

import numpy as np

MAGIC, VERSION, ALIGN = b"GGUF", 3, 32
F32, Q8_0 = 0, 8
U32, I32, FLOAT, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
SCALARS = {U32: "<I", I32: "<i", FLOAT: "<f", BOOL: "<?"}


def quantize_q8_0(x):
    """Rows of blocks of 32: an F16 scale (largest magnitude / 127), then 32 int8. x: (rows, columns), columns % 32 == 0."""
    blocks = x.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(1, keepdims=True) / np.float32(127)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    q = np.clip(np.rint(blocks * inverse), -127, 127).astype(np.int8)
    out = np.empty((len(blocks), 34), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8)
    out[:, 2:] = q.view(np.uint8)
    return out.tobytes()


def dequantize_q8_0(raw):
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, 34)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    return (scale * blocks[:, 2:].view(np.int8)).ravel()


def _string(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, value):
    if kind == STRING:
        return _string(value)
    if kind == ARRAY:
        element, items = value
        return struct.pack("<IQ", element, len(items)) + b"".join(_value(element, v) for v in items)
    return struct.pack(SCALARS[kind], value)


def write(path, metadata, tensors):
    """metadata: [(key, kind, value)]; tensors: [(name, array)], matrices become Q8_0 and vectors F32."""
    head = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    head += [_string(key) + struct.pack("<I", kind) + _value(kind, value) for key, kind, value in metadata]
    body, offset = [], 0
    for name, array in tensors:
        kind, raw = (Q8_0, quantize_q8_0(array)) if array.ndim == 2 else (F32, array.astype("<f4").tobytes())
        dims = array.shape[::-1]  # GGUF names the contiguous dimension first
        head.append(_string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset))
        raw += bytes(-len(raw) % ALIGN)
        body.append(raw)
        offset += len(raw)
    head = b"".join(head)
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % ALIGN) + b"".join(body))


class Reader:
    """metadata: key -> value; tensors: name -> float32 array (rows, columns) or (columns,)."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.raw = f.read()
        if self.raw[:4] != MAGIC:
            raise ValueError(f"{path}: not a GGUF file")
        self.at = 4
        version, n_tensors, n_metadata = self._take("<IQQ")
        if version != VERSION:
            raise ValueError(f"{path}: GGUF version {version}, this reader knows {VERSION}")
        self.metadata = {}
        for _ in range(n_metadata):
            key = self._string()
            self.metadata[key] = self._read(self._take("<I")[0])
        infos = [self._info() for _ in range(n_tensors)]
        base = -(-self.at // ALIGN) * ALIGN
        self.tensors = {name: self._tensor(dims, kind, base + offset) for name, dims, kind, offset in infos}

    def _take(self, layout):
        out = struct.unpack_from(layout, self.raw, self.at)
        self.at += struct.calcsize(layout)
        return out

    def _string(self):
        n, = self._take("<Q")
        self.at += n
        return self.raw[self.at - n:self.at].decode()

    def _read(self, kind):
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            element, n = self._take("<IQ")
            return [self._read(element) for _ in range(n)]
        return self._take(SCALARS[kind])[0]

    def _info(self):
        name = self._string()
        dims = self._take(f"<{self._take('<I')[0]}Q")
        return (name, dims) + self._take("<IQ")

    def _tensor(self, dims, kind, start):
        n = int(np.prod(dims))
        if kind == F32:
            return np.frombuffer(self.raw, "<f4", n, start).reshape(dims[::-1])
        if kind == Q8_0:
            return dequantize_q8_0(self.raw[start:start + n // 32 * 34]).reshape(dims[::-1])
        raise ValueError(f"tensor type {kind}: this reader knows F32 and Q8_0")
