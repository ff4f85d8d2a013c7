"""Streamers: the text while it is written, in whole words.

model.generate(ids, streamer=TextStreamer(tokenizer))     # prints
for piece in TextIteratorStreamer(tokenizer): ...         # generate runs in another thread
"""

from queue import Queue

BROKEN = "\ufffd"  # what a tokenizer gives for bytes that are no whole character yet

# blocks of characters that stand without spaces, one a word
_CJK = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class BaseStreamer:
    """What generate calls: put with the prompt's ids (1, T), then with every token (1), then end."""

    def put(self, value) -> None:
        """Take ids."""
        raise NotImplementedError(f"{type(self).__name__} does not say what to do with tokens")

    def end(self) -> None:
        """The text has ended."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to end")


class TextStreamer(BaseStreamer):
    """Prints the text of one row as soon as a word is whole.

    A piece ends with a space or a line, or with a character of a script without spaces; half a
    character is never printed. All pieces together are the decoded text. skip_prompt: without the
    prompt. options: of tokenizer.decode, skip_special_tokens=True say.

    A token may be decoded otherwise at the beginning of a text than within it. Hence what a token
    adds is found by decoding it with the tokens before it, back to those of the last addition: each
    step costs the same, however long the text is.
    """

    def __init__(self, tokenizer, skip_prompt: bool = False, **options):
        self.tokenizer, self.skip_prompt, self.options = tokenizer, skip_prompt, options
        self._start()

    def _start(self):
        self._ids: list[int] = []  # from the last addition but one
        self._read = 0  # how many of these have given their text
        self._word = ""  # text that may go on without a space
        self._is_prompt = True

    def put(self, value) -> None:
        """Take ids, (1, T) or (T)."""
        if value.dim() > 1:
            if value.shape[0] > 1:
                raise ValueError(f"{type(self).__name__} takes one text, not {value.shape[0]}")
            value = value[0]
        skip, self._is_prompt = self._is_prompt and self.skip_prompt, False
        if not skip:
            self._ids += value.tolist()
            self._word += self._addition()
            self.on_finalized_text(self._whole_words())

    def end(self) -> None:
        """Give out what is left, and be ready for another text."""
        rest = self._word + self._addition(last=True)
        self._start()
        self.on_finalized_text(rest, stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Print a piece, and a line's end at the end; a subclass does something else with it."""
        print(text, flush=True, end="\n" if stream_end else "")

    def _addition(self, last: bool = False) -> str:
        """The text that the tokens add which have not given theirs yet; "" for half a character."""
        before = self.tokenizer.decode(self._ids[: self._read], **self.options)
        text = self.tokenizer.decode(self._ids, **self.options)
        if not last and (text.endswith(BROKEN) or len(text) <= len(before)):
            return ""
        self._ids, self._read = self._ids[self._read :], len(self._ids) - self._read
        return text[len(before) :]

    def _whole_words(self) -> str:
        word = self._word
        if word and (word[-1] == "\n" or any(a <= ord(word[-1]) <= b for a, b in _CJK)):
            size = len(word)
        else:
            size = max(word.rfind(" "), word.rfind("\n")) + 1
        self._word = word[size:]
        return word[:size]


class TextIteratorStreamer(TextStreamer):
    """Keeps the pieces for another thread, which gets them by iterating.

    timeout: seconds after which waiting for a piece raises queue.Empty; None waits on.
    """

    _end = object()

    def __init__(self, tokenizer, skip_prompt: bool = False, timeout=None, **options):
        super().__init__(tokenizer, skip_prompt, **options)
        self.text_queue: Queue = Queue()
        self.timeout = timeout

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Keep a piece, and the end."""
        self.text_queue.put(text, timeout=self.timeout)
        if stream_end:
            self.text_queue.put(self._end, timeout=self.timeout)

    def __iter__(self):
        return self

    def __next__(self) -> str:
        piece = self.text_queue.get(timeout=self.timeout)
        if piece is self._end:
            raise StopIteration
        return piece
