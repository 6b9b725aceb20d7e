"""A part of an ONNX file, between two of its values, as an ONNX file; without the onnx package.

Only what such a cut needs of Protocol Buffers is read: lengths, names, inputs and outputs. Files
come from bundles, so every length is checked. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latentsr.errors import BundleError

Port = tuple[str, int]
"""Name and channels of a float32 value of one picture's planes, (1, C, rows, columns)."""
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
_MODEL_GRAPH = 7
_NODES, _TENSORS, _INPUTS, _OUTPUTS, _SHAPES = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _TENSOR_NAME, _PORT_NAME = 1, 2, 8, 1


def part_between(data: bytes, inputs: Sequence[Port], outputs: Sequence[Port]) -> bytes:
    """The nodes that make `outputs` from `inputs`, with the constants that they take.

    data: a whole ONNX file. inputs, outputs: in order; those of the file keep their own form.
    Raises BundleError where the file is none, or has no such values.
    """
    fields = list(_fields(data))
    graphs = [value for number, _, value in fields if number == _MODEL_GRAPH]
    if len(graphs) != 1:
        raise _fault(f"{len(graphs)} graphs in a file")
    return b"".join(
        _field(_MODEL_GRAPH, _cut(value, inputs, outputs)) if number == _MODEL_GRAPH else raw
        for number, raw, value in fields
    )


def _cut(graph: bytes, inputs: Sequence[Port], outputs: Sequence[Port]) -> bytes:
    fields = list(_fields(graph))
    nodes = [(raw, _names(value, _NODE_INPUT), _names(value, _NODE_OUTPUT))
             for number, raw, value in fields if number == _NODES]  # fmt: skip
    needed, given = {name for name, _ in outputs}, {name for name, _ in inputs}
    kept = []
    for raw, takes, makes in reversed(nodes):
        if any(name in needed and name not in given for name in makes):
            kept.append(raw)
            needed |= set(takes)
    constants = [(raw, _name(value, _TENSOR_NAME)) for number, raw, value in fields
                 if number == _TENSORS]  # fmt: skip
    known = {name for _, takes, makes in nodes for name in makes} | {n for _, n in constants}
    ports = {_name(value, _PORT_NAME): raw for number, raw, value in fields if number == _INPUTS}
    missing = needed - known - given - {""}
    if missing:
        raise _fault(f"no value {sorted(missing)[0]!r} in a graph")
    last = {_name(value, _PORT_NAME): raw for number, raw, value in fields if number == _OUTPUTS}
    return b"".join([
        *reversed(kept),
        *(raw for number, raw, _ in fields
          if number not in (_NODES, _TENSORS, _INPUTS, _OUTPUTS, _SHAPES)),
        *(raw for raw, name in constants if name in needed),
        *(ports.get(port[0], _port(_INPUTS, port)) for port in inputs),
        *(last.get(port[0], _port(_OUTPUTS, port)) for port in outputs),
    ])  # fmt: skip


def _port(field: int, port: Port) -> bytes:
    """A ValueInfoProto: float32 (1, C, rows, columns)."""
    name, channels = port
    sides = [_field(2, side) for side in (b"rows_" + name.encode(), b"columns_" + name.encode())]
    dims = [_tag(1, _VARINT) + _varint(side) for side in (1, channels)] + sides
    shape = b"".join(_field(1, dim) for dim in dims)
    tensor = _tag(1, _VARINT) + _varint(1) + _field(2, shape)
    return _field(field, _field(1, name.encode()) + _field(2, _field(1, tensor)))


def _fields(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, all bytes, and content of each field of a message."""
    place = 0
    while place < len(data):
        start = place
        tag, place = _read_varint(data, place)
        number, kind = tag >> 3, tag & 7
        length = _FIXED.get(kind, 0)
        if kind == _VARINT:
            _, place = _read_varint(data, place)
        elif kind == _BYTES:
            length, place = _read_varint(data, place)
        elif kind not in _FIXED:
            raise _fault(f"wire type {kind}")
        if number == 0 or length > len(data) - place:
            raise _fault(f"a field of {length} bytes, {len(data) - place} left")
        content = data[place : place + length]
        place += length
        yield number, data[start:place], content


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(data):
            raise _fault("a number that is cut off")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise _fault("a number of more than 64 bits")


def _names(message: bytes, field: int) -> list[str]:
    try:
        return [value.decode() for number, _, value in _fields(message) if number == field]
    except UnicodeDecodeError:
        raise _fault("a name that is no text") from None


def _name(message: bytes, field: int) -> str:
    return next(iter(_names(message, field)), "")


def _field(number: int, content: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(content)) + content


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _fault(found: str) -> BundleError:
    return BundleError(
        f"graph cannot be cut: found {found}, expected an ONNX file with the values that the "
        "bundle's manifest names; export the bundle again"
    )
