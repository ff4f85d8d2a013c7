"""Chat templates: a conversation as the one text that a model was trained to read.

    tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], add_generation_prompt=True)

A template is a small program in Jinja that comes with the tokenizer. It runs in Jinja's sandbox, sees
plain data only, and can change none of it.
"""

import functools
import json
from collections.abc import Mapping
from datetime import datetime

from ..extra import need

ABSENT = ("return_assistant_tokens_mask", "sanitize_control_tokens")
MARK = "\x00the message ends here"  # where a last message that goes on ends


@functools.cache
def compiled(template: str):
    """A template, ready to be rendered; ValueError for one that is no Jinja."""
    jinja2 = need("jinja2", extra="chat")
    sandbox = need("jinja2.sandbox", "jinja2", extra="chat")

    class Generation(need("jinja2.ext", "jinja2", extra="chat").Extension):
        """{% generation %} ... {% endgeneration %}: what the model wrote; rendered as it is."""

        tags = {"generation"}

        def parse(self, parser):
            """The statements between the two tags."""
            next(parser.stream)
            return parser.parse_statements(["name:endgeneration"], drop_needle=True)

    def fail(message):
        raise jinja2.TemplateError(message)

    def as_json(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = fail
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return environment.from_string(template)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"the chat template is no Jinja: line {error.lineno}: {error}") from error


def plain(value):
    """Copies of dictionaries, lists, strings and numbers; TypeError for anything else."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    raise TypeError(f"a chat template sees strings, numbers, lists, dictionaries, not {value!r}")


def messages_of(conversation) -> list[dict]:
    """The messages without values that are None; ValueError for what isn't a conversation."""
    if not conversation:
        raise ValueError("apply_chat_template: a conversation has at least one message")
    found = []
    for message in conversation:
        if not isinstance(message, Mapping) or "role" not in message:
            raise ValueError(
                'apply_chat_template: a message is {"role": "user", "content": "..."}, not '
                f"{message!r}"
            )
        found.append({key: plain(value) for key, value in message.items() if value is not None})
    return found


class ChatTemplates:
    """What a tokenizer does with conversations; it has `settings` and `special_tokens_map`."""

    @property
    def chat_template(self) -> str | dict[str, str] | None:
        """The template, or several by name; None where there is none."""
        found = self.settings.get("chat_template")
        if isinstance(found, list):  # as tokenizer_config.json has several
            return {item["name"]: item["template"] for item in found}
        return found

    @chat_template.setter
    def chat_template(self, template):
        self.settings["chat_template"] = template

    def get_chat_template(self, chat_template: str | None = None, tools=None) -> str:
        """The template that is used: as passed, by name, "tool_use" with tools, or the default one.

        Raises ValueError where there is none.
        """
        known = self.chat_template
        if isinstance(known, dict):
            if chat_template is None:
                chat_template = "tool_use" if tools and "tool_use" in known else "default"
                if chat_template not in known:
                    raise ValueError(
                        "this tokenizer has several chat templates and none called 'default'; pass "
                        f"chat_template=, one of {', '.join(known)}"
                    )
            return known.get(chat_template, chat_template)
        chosen = known if chat_template is None else chat_template
        if chosen is None:
            raise ValueError(
                "this tokenizer has no chat_template: its model was not trained for conversations; "
                "pass chat_template= to have one anyway"
            )
        return chosen

    def apply_chat_template(
        self,
        conversation,
        tools: list[dict] | None = None,
        documents: list[dict] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = True,
        tokenizer_kwargs: dict | None = None,
        **kwargs,
    ):
        """A conversation, or a list of them, as the model's inputs, or as texts with tokenize=False.

        conversation: [{"role": "system" | "user" | "assistant", "content": text}, ...].
        add_generation_prompt: end with what an answer begins with. continue_final_message: leave the
        last message open, for the model to go on with. return_dict=False: input_ids alone.
        tools, documents, kwargs: for the template to use. Raises ValueError for an empty conversation,
        a missing template, and what a template itself refuses.
        """
        for name in ABSENT:
            if name in kwargs:
                raise TypeError(f"apply_chat_template has no option {name} here")
        if add_generation_prompt and continue_final_message:
            raise ValueError(
                "apply_chat_template: a new answer begins (add_generation_prompt) or the last message "
                "goes on (continue_final_message), not both"
            )
        template = self.get_chat_template(chat_template, tools)
        several = bool(conversation) and isinstance(conversation[0], (list, tuple))
        given = {
            "tools": plain(tools), "documents": plain(documents),
            "add_generation_prompt": add_generation_prompt,
        } | self.special_tokens_map | plain(kwargs)  # fmt: skip
        texts = [
            rendered(template, messages_of(one), given, continue_final_message)
            for one in (conversation if several else [conversation])
        ]
        texts = texts if several else texts[0]
        if not tokenize:
            return texts
        found = self(
            texts, add_special_tokens=False, padding=padding, truncation=truncation,
            max_length=max_length, return_tensors=return_tensors, **(tokenizer_kwargs or {}),
        )  # fmt: skip
        return found if return_dict else found["input_ids"]


def rendered(template: str, messages: list[dict], given: dict, open_end: bool = False) -> str:
    """The text of messages; open_end: up to where the last one's content ends."""
    jinja2 = need("jinja2", extra="chat")
    if open_end:
        if not isinstance(messages[-1].get("content"), str):
            raise ValueError("continue_final_message: the last message has no text to go on with")
        messages[-1]["content"] += MARK
    try:
        text = compiled(template).render(messages=messages, **given)
    except jinja2.TemplateError as error:
        raise ValueError(f"the chat template refuses this conversation: {error}") from error
    if not open_end:
        return text
    before, found, _ = text.rpartition(MARK)
    if not found:
        raise ValueError("continue_final_message: the chat template leaves the last message out")
    return before
