"""The contract's fields in a PLC's memory: both blocks as they are, or field by field where they have to lie. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from protocols.codec import WordOrder
from protocols.link import MapError
from protocols.modbus.client_map import STARTS, ClientMap, Sink, Source
from protocols.modbus.planning import BIT_TABLES, Answer, Place
from protocols.modbus.quirks import STANDARD, Quirks
from protocols.modbus.registers import (
    COMMAND_WORDS,
    CONTROL_BITS,
    FIELDS,
    OUTPUT_WORDS,
    RESULT_BITS,
    STATUS_BITS,
    Bit,
    Block,
    Field,
    Table,
    Type,
)
from protocols.signals import Control

BITS: dict[str, tuple[Bit, ...]] = {"CONTROL": CONTROL_BITS, "STATUS": STATUS_BITS, "RESULT_BITS": RESULT_BITS}
_WORDS = {Type.UINT: 1, Type.UDINT: 2}
_EDGES = sum(Control)


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where one field lies: `type` if the PLC's integer has another length, `bit` of a register, `words` of SERIAL."""

    address: int
    table: Table = Table.HOLDING
    type: Type | None = None
    bit: int | None = None
    words: int | None = None


Fields = Mapping[str, Mapped]
Area = int | Fields
"""The first holding register of a whole block, or its fields by name (FIELDS, or CONTROL.TRIGGER for a single bit)."""


def client_map(command: Area, outputs: Area, order: WordOrder, quirks: Quirks = STANDARD) -> ClientMap:
    """The plan for one PLC; raises MapError for a field that cannot lie where it was put."""
    sources = _block_sources(command, quirks) if isinstance(command, int) else _sources(command, order, quirks)
    sinks = _block_sinks(outputs, quirks) if isinstance(outputs, int) else _sinks(outputs, order, quirks)
    return ClientMap(list(sources), list(sinks), quirks)


def field_of(name: str, command: bool) -> tuple[Field, Bit | None]:
    """The field, and the bit of it, that a mapped name means; raises MapError with the nearest name."""
    known = {field.name: field for field in FIELDS if _mine(field, command)}
    word, dot, rest = name.partition(".")
    if word in known and not dot:
        return known[word], None
    names = list(known) + [f"{word}.{bit.name}" for word, bits in BITS.items() if word in known for bit in bits]
    if name in names:
        return known[word], next(bit for bit in BITS[word] if bit.name == rest)
    import difflib  # on the start path only where it is needed

    near = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]}?" if near else "; see `gateway map`"
    raise MapError(f"{name} is no field of {'the command block' if command else 'status and result'}{hint}")


def place_of(name: str, mapped: Mapped, command: bool) -> Place:
    """The whole extent of a mapped field, or of the register or coil that holds its bit."""
    field, bit = field_of(name, command)
    return Place(mapped.table, mapped.address, 1 if bit is not None else words_of(field, mapped))


def words_of(field: Field, mapped: Mapped) -> int:
    """How many registers a field takes in this PLC."""
    if mapped.words is not None:
        return mapped.words
    return field.words if mapped.type is None else _WORDS[mapped.type]


def _mine(field: Field, command: bool) -> bool:
    return field.block is Block.COMMAND if command else field.block in (Block.STATUS, Block.RESULT)


# ---------------------------------------------------------------- words


@dataclass(frozen=True, slots=True)
class _WordsIn:
    place: Place
    at: int
    size: int
    starts: bool
    order: WordOrder
    number: bool

    def put(self, block: bytearray, found: Answer) -> None:
        if isinstance(found, bytes):
            data = _resized(found, self.size, self.order) if self.number else found
            block[self.at : self.at + len(data)] = data


@dataclass(frozen=True, slots=True)
class _WordsOut:
    place: Place
    at: int
    size: int
    skip: int
    """Bytes of the value that stand in registers before this one."""
    whole: int
    order: WordOrder

    @property
    def words(self) -> frozenset[int]:
        return frozenset(range(self.at // 2, (self.at + self.size) // 2))

    def of(self, block: bytes) -> Answer:
        value = _resized(block[self.at : self.at + self.size], self.whole, self.order)
        return value[self.skip : self.skip + 2 * self.place.size]


@dataclass(frozen=True, slots=True)
class _BitIn:
    place: Place
    word: int
    mask: int
    bit: int | None

    @property
    def starts(self) -> bool:
        return self.word in STARTS and bool(self.mask & _EDGES)

    def put(self, block: bytearray, found: Answer) -> None:
        if found[0] if self.bit is None else int.from_bytes(bytes(found), "big") >> self.bit & 1:
            word = int.from_bytes(block[2 * self.word : 2 * self.word + 2], "big") | self.mask
            block[2 * self.word : 2 * self.word + 2] = word.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class _CoilOut:
    place: Place
    word: int
    mask: int

    @property
    def words(self) -> frozenset[int]:
        return frozenset((self.word,))

    def of(self, block: bytes) -> Answer:
        return (bool(_word(block, self.word) & self.mask),)


@dataclass(frozen=True, slots=True)
class _BitsOut:
    """A register made of single bits; those that nobody mapped are 0."""

    place: Place
    bits: tuple[tuple[int, int, int], ...]
    """Word of status and result, mask in it, bit of the register."""

    @property
    def words(self) -> frozenset[int]:
        return frozenset(word for word, _, _ in self.bits)

    def of(self, block: bytes) -> Answer:
        return sum(1 << bit for word, mask, bit in self.bits if _word(block, word) & mask).to_bytes(2, "big")


def _word(block: bytes, word: int) -> int:
    return int.from_bytes(block[2 * word : 2 * word + 2], "big")


def _resized(data: bytes, size: int, order: WordOrder) -> bytes:
    """An integer in as many bytes as asked for; one that does not fit becomes the greatest that does, never another."""
    if len(data) == size:
        return data
    number = int.from_bytes(_turned(data, order), "big")
    return _turned(min(number, (1 << 8 * size) - 1).to_bytes(size, "big"), order)


def _turned(data: bytes, order: WordOrder) -> bytes:
    """Big-endian ↔ the PLC's order, which is its own inverse; one word is the same in all."""
    return bytes(data["ABCD".index(letter)] for letter in order) if len(data) == 4 else data


# ---------------------------------------------------------------- whole blocks


def _block_words(words: int, blocks: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """First word and length of every field of an area, and of its reserved words."""
    held = {field.word: field.words for field in FIELDS if field.block in blocks}
    word = 0
    while word < words:
        yield word, held.get(word, 1)
        word += held.get(word, 1)


def _block_sources(first: int, quirks: Quirks) -> Iterator[Source]:
    for word, words in _block_words(COMMAND_WORDS, (Block.COMMAND,)):
        for at, size in _pieces(words, quirks.max_read):
            place = Place(Table.HOLDING, first + word + at, size)
            yield _WordsIn(place, 2 * (word + at), 2 * size, word in STARTS, WordOrder.ABCD, number=False)


def _block_sinks(first: int, quirks: Quirks) -> Iterator[Sink]:
    for word, words in _block_words(OUTPUT_WORDS, (Block.STATUS, Block.RESULT)):
        for at, size in _pieces(words, quirks.write_words):
            place = Place(Table.HOLDING, first + word + at, size)
            yield _WordsOut(place, 2 * (word + at), 2 * size, 0, 2 * size, WordOrder.ABCD)


def _pieces(words: int, most: int) -> Iterable[tuple[int, int]]:
    """A value is exchanged whole wherever one request of the device can hold it."""
    return ((0, words),) if words <= most else ((at, 1) for at in range(words))


# ---------------------------------------------------------------- field by field


def _sources(fields: Fields, order: WordOrder, quirks: Quirks) -> Iterator[Source]:
    _check_bits(fields)
    for name, mapped in fields.items():
        field, bit = field_of(name, command=True)
        _check(name, field, bit, mapped)
        if bit is not None:
            yield _BitIn(Place(mapped.table, mapped.address), field.word, 1 << bit.number, mapped.bit)
            continue
        words, starts = words_of(field, mapped), field.word in STARTS
        if words > field.words:
            raise MapError(f"{name} has {field.words} word(s) in the contract, a longer type may hold more; use UINT")
        if words <= quirks.max_read:
            number = field.type in _WORDS
            yield _WordsIn(
                Place(mapped.table, mapped.address, words), 2 * field.word, 2 * field.words, starts, order, number
            )
            continue
        if words != field.words:
            raise MapError(f"{name}: a device that gives one register at a time cannot hold it as another type")
        for at in range(words):
            place = Place(mapped.table, mapped.address + at)
            yield _WordsIn(place, 2 * (field.word + at), 2, starts, order, number=False)


def _sinks(fields: Fields, order: WordOrder, quirks: Quirks) -> Iterator[Sink]:
    _check_bits(fields)
    registers: dict[int, list[tuple[int, int, int]]] = {}
    for name, mapped in fields.items():
        field, bit = field_of(name, command=False)
        _check(name, field, bit, mapped)
        if mapped.table not in (Table.HOLDING, Table.COIL):
            raise MapError(f"{name}: the gateway cannot write {mapped.table.name.lower()}s; use table holding or coil")
        if bit is None:
            yield from _words_out(field, mapped, order, quirks)
        elif mapped.bit is None:
            yield _CoilOut(Place(mapped.table, mapped.address), field.word, 1 << bit.number)
        else:
            registers.setdefault(mapped.address, []).append((field.word, 1 << bit.number, mapped.bit))
    for address, bits in registers.items():
        yield _BitsOut(Place(Table.HOLDING, address), tuple(bits))


def _words_out(field: Field, mapped: Mapped, order: WordOrder, quirks: Quirks) -> Iterator[Sink]:
    words = words_of(field, mapped)
    for at, size in _pieces(words, quirks.write_words):
        place = Place(mapped.table, mapped.address + at, size)
        yield _WordsOut(place, 2 * field.word, 2 * field.words, 2 * at, 2 * words, order)


def _check_bits(fields: Fields) -> None:
    for word in BITS:
        if word in fields and any(name.startswith(f"{word}.") for name in fields):
            raise MapError(f"{word} is mapped as a whole and bit by bit; keep one of the two")


def _check(name: str, field: Field, bit: Bit | None, mapped: Mapped) -> None:
    in_bits = mapped.table in BIT_TABLES
    rules: tuple[tuple[bool, str], ...] = (
        (bit is None and in_bits, "is a word, which no coil can hold; map its bits one by one, or use table holding"),
        (bit is None and mapped.bit is not None, "is a word; `bit` is for single bits such as CONTROL.ENABLE"),
        (bit is not None and in_bits and mapped.bit is not None, "lies in a coil, which has no `bit`; remove it"),
        (
            bit is not None and not in_bits and mapped.bit is None,
            "lies in a register: say which `bit` (0 to 15), or use table coil",
        ),
        (
            mapped.type is not None and (bit is not None or field.type not in _WORDS),
            "cannot be of another type; `type` is for UINT and UDINT fields",
        ),
        (
            mapped.words is not None and field.type is not Type.STRING,
            "has a fixed length; `words` is for SERIAL",
        ),
    )
    for wrong, text in rules:
        if wrong:
            raise MapError(f"{name} {text}")
