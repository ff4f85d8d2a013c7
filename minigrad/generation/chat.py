"""A conversation with a model that was trained for it, its keys and values kept from turn to turn.

chat = Chat(model, tokenizer, system="You answer in one sentence.")
print(chat.say("What is gravity?", streamer=TextStreamer(tokenizer, skip_prompt=True)))
"""

import minigrad as torch

from .cache import DynamicCache
from .stopping import StoppingCriteria


class Interrupt(StoppingCriteria):
    """A text ends with its next token once `stop()` has been called, from a signal's handler say."""

    def __init__(self):
        self.stopped = False

    def stop(self, *signal) -> None:
        """End the text."""
        self.stopped = True

    def __call__(self, input_ids, scores, **options):
        rows, device = input_ids.shape[0], input_ids.device
        return torch.full((rows,), self.stopped, dtype=torch.bool, device=device)


class Chat:
    """`say(text)` gives the model's answer; `messages` is the conversation so far.

    Each turn the whole conversation is made one text by the tokenizer's chat template. Of its tokens,
    those that the model has read already, in the turns before, are in the cache and not read again.
    context: how many tokens a conversation may have, with max_new_tokens for the answer; by default
    config.max_position_embeddings. Where there would be more, the oldest turns are forgotten,
    the system's message never; `forgotten` says how many were in the last turn.
    options: of model.generate.
    """

    def __init__(
        self, model, tokenizer, system: str | None = None, context: int | None = None,
        max_new_tokens: int = 512, **options,
    ):  # fmt: skip
        self.model, self.tokenizer, self.system = model, tokenizer, system
        longest = model.config.max_position_embeddings
        self.context = longest if context is None else min(context, longest)
        self.max_new_tokens, self.options = max_new_tokens, options
        if not 0 < max_new_tokens < self.context:
            raise ValueError(
                f"Chat: {max_new_tokens} new tokens leave none of the {self.context} of the context for "
                "the conversation"
            )
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.messages = [] if self.system is None else [{"role": "system", "content": self.system}]
        self.forgotten = 0
        self._forget_cache()

    def _forget_cache(self):
        self.cache, self.read = DynamicCache(), []  # the ids of the tokens in the cache

    def say(self, text: str, streamer=None, interrupt: Interrupt | None = None) -> str:
        """The answer to a message; both are in `messages` then. streamer: gets the tokens as they come.

        interrupt: ends the answer where it is. Raises ValueError for a message that alone is too long;
        the conversation is then as it was.
        """
        messages, ids, forgotten = self._fitting(
            [*self.messages, {"role": "user", "content": text}]
        )
        known = self._common(ids)
        self.cache.crop(known)
        try:
            found = self.model.generate(
                torch.tensor([ids], device=self.model.device), past_key_values=self.cache,
                max_new_tokens=self.max_new_tokens, streamer=streamer,
                stopping_criteria=[] if interrupt is None else [interrupt],
                **self.options,
            )[0].tolist()  # fmt: skip
        except BaseException:
            self._forget_cache()  # of which some layers may have read more than others
            raise
        self.read = found[: self.cache.get_seq_length()]
        answer = self.tokenizer.decode(found[len(ids) :], skip_special_tokens=True).strip()
        self.messages = [*messages, {"role": "assistant", "content": answer}]
        self.forgotten = forgotten
        return answer

    def _ids(self, messages) -> list[int]:
        return self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=False
        )

    def _fitting(self, messages):
        """(messages, their ids, how many turns were left out) so that an answer has room."""
        room, forgotten = self.context - self.max_new_tokens, 0
        ids = self._ids(messages)
        first = int(messages[0]["role"] == "system")
        while len(ids) > room:
            if len(messages) - first < 2:
                raise ValueError(
                    f"Chat: the message makes {len(ids)} tokens, with the system's; {room} fit beside "
                    f"{self.max_new_tokens} of an answer into the {self.context} of the context"
                )
            messages = messages[:first] + messages[first + 2 :]  # a question and its answer
            forgotten += 1
            ids = self._ids(messages)
        return messages, ids, forgotten

    def _common(self, ids) -> int:
        """How many tokens at the beginning have been read; the last one is read in any case."""
        limit = min(len(self.read), len(ids) - 1)
        return next((i for i in range(limit) if self.read[i] != ids[i]), limit)
