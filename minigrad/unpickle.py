"""A pickle read as data: the stack machine of Python's pickles, able to call only what is listed.

A pickle is a program. Its instructions push numbers, strings and containers on a stack; two of them
are dangerous: GLOBAL fetches any function of any module by name, and REDUCE calls it. That is how
`pickle.load` of a downloaded file can run a command. This machine has the same instructions, but
GLOBAL asks a table, which knows some twenty harmless names, and REDUCE calls only what came from
that table. Nothing is imported, no attribute is looked up, and what is not on the list is refused
by name before anything happens.

The instructions are those of pickle protocols 2 to 5; the meaning of each byte is documented in
Python's own `pickletools`.
"""

import struct
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

KEY_PARTS = 1000  # of a dictionary key: nested tuples can make hashing one take for ever


class Source:
    """A binary file with a name and an end: a read is whole, or an error that says where."""

    def __init__(self, file, name: str):
        self.file = file
        self.name = name
        self.at = file.tell()
        self.end = file.seek(0, 2)
        file.seek(self.at)

    def require(self, n: int, what: str) -> None:
        """Raise RuntimeError unless n more bytes are there (checked before any allocation)."""
        if n < 0 or n > self.end - self.at:
            raise RuntimeError(
                f"load: {self.name} is truncated or corrupt: {what} at byte {self.at} needs {n} "
                f"bytes, but {self.end - self.at} are left"
            )

    def read(self, n: int, what: str = "the pickle") -> bytes:
        self.require(n, what)
        data = self.file.read(n)
        if len(data) != n:
            raise RuntimeError(f"load: {self.name} ended early at byte {self.at + len(data)}")
        self.at += n
        return data

    def read_into(self, buffer: memoryview, what: str) -> None:
        self.require(len(buffer), what)
        filled = 0
        while filled < len(buffer):
            n = self.file.readinto(buffer[filled:])
            if not n:
                raise RuntimeError(f"load: {self.name} ended early at byte {self.at + filled}")
            filled += n
        self.at += filled

    def read_line(self) -> str:
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self.read(1)
        return line[:-1].decode("utf-8")


class Call:
    """A function that a pickle may call."""

    __slots__ = ("function", "name")

    def __init__(self, name: str, function: Callable):
        self.name = name
        self.function = function

    def __repr__(self):
        return f"<pickled name {self.name}>"


class Mark:
    """Where the items of the container being built begin on the stack."""


INSTRUCTIONS: dict[int, Callable] = {}


def instruction(code: bytes, *arguments):
    """File a method of Machine under the byte that stands for it in a pickle."""

    def register(method):
        INSTRUCTIONS[code[0]] = lambda machine: method(machine, *arguments)
        return method

    return register


class Machine:
    """Runs one pickle from `source`.

    find: full name of a global -> a `Call` or a plain value; KeyError for what is not listed.
    persistent_load: the id of something kept outside the pickle, a tensor's storage -> the thing.
    build: type -> function(object, state), for objects whose pickles add a state afterwards.
    """

    def __init__(
        self,
        source: Source,
        find: Callable[[str], Any],
        persistent_load: Callable[[Any], Any] | None = None,
        build: dict[type, Callable] | None = None,
    ):
        self.source = source
        self.find = find
        self.persistent_load = persistent_load
        self.build_rules = build or {}
        self.stack = []
        self.memo = {}

    def run(self) -> Any:
        """The object that the pickle describes.

        Raises UnpicklingError for a name or an instruction that is refused, RuntimeError for a
        pickle that is broken.
        """
        source = self.source
        code = None
        at = source.at
        try:
            while True:
                at = source.at
                code = source.read(1)[0]
                if code == ord("."):
                    return self.pop()
                step = INSTRUCTIONS.get(code)
                if step is None:
                    raise UnpicklingError(
                        f"load: {source.name} uses the pickle instruction {_name_of(code)} at byte "
                        f"{at}, which checkpoints never need; nothing was loaded"
                    )
                step(self)
        except (UnpicklingError, RuntimeError):
            raise
        except (LookupError, TypeError, ValueError, ArithmeticError, struct.error) as error:
            raise RuntimeError(
                f"load: {source.name} is corrupt: its pickle breaks at byte {at}, in instruction "
                f"{_name_of(code)}: {error}"
            ) from error

    # ---- the stack

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        value = self.stack.pop()
        if value is Mark:
            raise ValueError("the stack holds a mark where a value should be")
        return value

    def top(self, kind: type, *more: type):
        value = self.stack[-1]
        if type(value) not in (kind, *more):
            raise ValueError(f"expected a {kind.__name__} on the stack, found {_type_name(value)}")
        return value

    def pop_to_mark(self) -> list:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is Mark:
                items = self.stack[i + 1 :]
                del self.stack[i:]
                return items
        raise ValueError("the stack holds no mark")

    def unpack(self, form: str):
        return struct.unpack(form, self.source.read(struct.calcsize(form)))[0]

    @instruction(b"(")
    def mark(self):
        self.push(Mark)

    @instruction(b"0")
    def discard(self):
        self.stack.pop()

    # ---- plain values

    @instruction(b"\x80")
    def protocol(self):
        version = self.unpack("<B")
        if not 2 <= version <= 5:
            raise UnpicklingError(
                f"load: {self.source.name} holds a pickle of protocol {version}; 2 to 5 can be read"
            )

    @instruction(b"\x95")
    def frame(self):
        self.source.require(self.unpack("<Q"), "a frame of the pickle")

    @instruction(b"N", None)
    @instruction(b"\x88", True)
    @instruction(b"\x89", False)
    def constant(self, value):
        self.push(value)

    @instruction(b"J", "<i")
    @instruction(b"K", "<B")
    @instruction(b"M", "<H")
    @instruction(b"G", ">d")
    def number(self, form):
        self.push(self.unpack(form))

    @instruction(b"\x8a", "<B")
    @instruction(b"\x8b", "<i")
    def long_integer(self, form):
        self.push(int.from_bytes(self.source.read(self.unpack(form)), "little", signed=True))

    @instruction(b"X", "<I")
    @instruction(b"\x8c", "<B")
    @instruction(b"\x8d", "<Q")
    def text(self, form):
        self.push(str(self.source.read(self.unpack(form)), "utf-8", "surrogatepass"))

    @instruction(b"U", "<B")
    @instruction(b"T", "<i")
    def text_of_python_2(self, form):
        self.push(str(self.source.read(self.unpack(form)), "utf-8"))

    @instruction(b"B", "<I")
    @instruction(b"C", "<B")
    @instruction(b"\x8e", "<Q")
    def bytes(self, form):
        self.push(self.source.read(self.unpack(form)))

    @instruction(b"\x96")
    def byte_array(self):
        self.push(bytearray(self.source.read(self.unpack("<Q"))))

    # ---- containers

    @instruction(b")", tuple)
    @instruction(b"]", list)
    @instruction(b"}", dict)
    @instruction(b"\x8f", set)
    def empty(self, kind):
        self.push(kind())

    @instruction(b"t")
    def tuple_to_mark(self):
        self.push(tuple(self.pop_to_mark()))

    @instruction(b"\x85", 1)
    @instruction(b"\x86", 2)
    @instruction(b"\x87", 3)
    def tuple_of(self, n):
        items = [self.pop() for _ in range(n)]
        self.push(tuple(reversed(items)))

    @instruction(b"l")
    def list_to_mark(self):
        self.push(self.pop_to_mark())

    @instruction(b"d")
    def dict_to_mark(self):
        items = self.pop_to_mark()
        self.push({})
        self.fill(items)

    @instruction(b"a")
    def append(self):
        item = self.pop()
        self.top(list).append(item)

    @instruction(b"e")
    def extend(self):
        items = self.pop_to_mark()
        self.top(list).extend(items)

    @instruction(b"s")
    def set_item(self):
        value = self.pop()
        key = self.pop()
        self.fill([key, value])

    @instruction(b"u")
    def set_items(self):
        self.fill(self.pop_to_mark())

    def fill(self, items):
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError(f"expected a dict on the stack, found {_type_name(target)}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            check_key(key)
            target[key] = value

    @instruction(b"\x90")
    def add_items(self):
        items = self.pop_to_mark()
        target = self.top(set)
        for item in items:
            check_key(item)
            target.add(item)

    @instruction(b"\x91")
    def frozen_set(self):
        items = self.pop_to_mark()
        for item in items:
            check_key(item)
        self.push(frozenset(items))

    # ---- what was seen before

    @instruction(b"q", "<B")
    @instruction(b"r", "<I")
    def remember(self, form):
        self.memo[self.unpack(form)] = self.stack[-1]

    @instruction(b"\x94")
    def remember_next(self):
        self.memo[len(self.memo)] = self.stack[-1]

    @instruction(b"h", "<B")
    @instruction(b"j", "<I")
    def recall(self, form):
        index = self.unpack(form)
        if index not in self.memo:
            raise ValueError(f"nothing was remembered under number {index}")
        self.push(self.memo[index])

    # ---- the instructions that could do harm

    @instruction(b"c")
    def fetch_global(self):
        module = self.source.read_line()
        self.push(self.look_up(module, self.source.read_line()))

    @instruction(b"\x93")
    def fetch_global_from_stack(self):
        name = self.pop()
        module = self.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("the name of a global must be text")
        self.push(self.look_up(module, name))

    @instruction(b"i")
    def instance(self):
        module = self.source.read_line()
        called = self.look_up(module, self.source.read_line())
        self.push(self.call(called, tuple(self.pop_to_mark())))

    def look_up(self, module, name):
        full = f"{module}.{name}"
        try:
            return self.find(full)
        except KeyError:
            raise UnpicklingError(
                f"load: {self.source.name} asks for the global '{full}', which is not on the list "
                "of what a checkpoint may hold (tensors, numbers, text, containers); nothing was "
                "executed. If you trust the file, load it with the program that wrote it and save "
                "model.state_dict() instead of whole objects."
            ) from None

    @instruction(b"R")
    @instruction(b"\x81")
    def reduce(self):
        args = self.pop()
        called = self.pop()
        if type(args) is not tuple:
            raise ValueError(f"the arguments of a call must be a tuple, not {_type_name(args)}")
        self.push(self.call(called, args))

    def call(self, called, args):
        if type(called) is not Call:
            raise UnpicklingError(
                f"load: {self.source.name} tries to call {_type_name(called)}; nothing was executed"
            )
        return called.function(*args)

    @instruction(b"b")
    def build(self):
        state = self.pop()
        target = self.stack[-1]
        rule = self.build_rules.get(type(target))
        if rule is None:
            raise UnpicklingError(
                f"load: {self.source.name} tries to set the state of {_type_name(target)}, which "
                "no checkpoint needs; nothing was executed"
            )
        rule(target, state)

    @instruction(b"Q")
    def persistent(self):
        if self.persistent_load is None:
            raise ValueError("a reference to outside data where none can be")
        self.push(self.persistent_load(self.pop()))


def check_key(key) -> None:
    """Refuse a dictionary key whose hash would take exponential time: tuples of shared tuples."""
    parts = [key]
    seen = 0
    while parts:
        part = parts.pop()
        seen += 1
        if seen > KEY_PARTS:
            raise ValueError(f"a dictionary key with more than {KEY_PARTS} parts")
        if isinstance(part, (tuple, frozenset)):
            parts.extend(part)


def _name_of(code) -> str:
    import pickletools

    opcode = pickletools.code2op.get(chr(code))
    return opcode.name if opcode else f"0x{code:02x}"


def _type_name(value) -> str:
    return repr(value) if type(value) is Call else type(value).__name__
