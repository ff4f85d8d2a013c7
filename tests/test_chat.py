"""Chat templates against transformers; conversations and their cache; `minigrad generate` and `chat`."""

import io
import signal
import sys

import pytest
from gguf_checks import TEMPLATE, tiny, write

import minigrad as mg
from minigrad import cli, models
from minigrad.generation import TextStreamer
from minigrad.generation.chat import Chat, Interrupt

pytest.importorskip("jinja2")

TALK = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hello world", "name": None},
    {"role": "user", "content": "größe 🙂"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tiny")
    # words as GPT-2 cuts them: transformers does so whatever the file says
    write(place / "tiny.gguf", tiny(), values={"tokenizer.ggml.pre": "gpt-2"})
    return place


@pytest.fixture(scope="module")
def tokenizer(folder):
    return models.AutoTokenizer.from_pretrained(folder, gguf_file="tiny.gguf")


@pytest.fixture
def model(folder):
    return models.AutoModelForCausalLM.from_pretrained(folder, gguf_file="tiny.gguf")


# -- templates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_generation_prompt": True},
        {"continue_final_message": True},
        {"chat_template": "{{ bos_token }}{% for m in messages if m.role == 'user' %}{{ loop.index }} "
         "{{ m | tojson }}{% if loop.last %}{% break %}{% endif %}\n{% endfor %}"},
        {"chat_template": "{% for m in messages %}\n  {% if true %}\n  {{ m.content | upper }}\n  "
         "{% endif %}\n{% endfor %}"},
        {"chat_template": "{{ mood }} {{ tools[0].name }} {{ documents[0]['title'] }}", "mood": "gay",
         "tools": [{"name": "clock"}], "documents": [{"title": "A"}]},
        {"chat_template": "{% generation %}{{ messages[0].content }}{% endgeneration %}!"},
        {"chat_template": "{% set n = namespace(k=0) %}{% for m in messages %}{% set n.k = n.k + 1 %}"
         "{% endfor %}{{ n.k }}{{ dict(a=1) }}"},
    ],
)  # fmt: skip
def test_templates_equal_transformers(options, tokenizer, folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(folder, gguf_file="tiny.gguf")
    expected = theirs.apply_chat_template(TALK, tokenize=False, **options)
    assert tokenizer.apply_chat_template(TALK, tokenize=False, **options) == expected
    found = tokenizer.apply_chat_template(TALK, **options)
    assert dict(found) == dict(theirs.apply_chat_template(TALK, **options))
    assert found["input_ids"] == tokenizer.apply_chat_template(TALK, return_dict=False, **options)
    pair = [TALK, TALK[:2]]
    asked = dict(options, padding=True, return_tensors="np")
    found, wanted = (
        tokenizer.apply_chat_template(pair, **asked),
        theirs.apply_chat_template(pair, **asked),
    )
    assert found.keys() == wanted.keys()
    for name in found:
        assert (found[name] == wanted[name]).all()
    assert "name" in TALK[2]  # the caller's messages stay what they are


def test_templates_by_name(tokenizer):
    before = tokenizer.chat_template
    assert before == TEMPLATE
    try:
        tokenizer.chat_template = [
            {"name": "default", "template": "one"}, {"name": "tool_use", "template": "two"},
        ]  # fmt: skip
        assert tokenizer.apply_chat_template(TALK, tokenize=False) == "one"
        assert tokenizer.apply_chat_template(TALK, tools=[{}], tokenize=False) == "two"
        assert tokenizer.get_chat_template("tool_use") == "two"
        tokenizer.chat_template = {"other": "three"}
        with pytest.raises(
            ValueError, match="none called 'default'; pass chat_template=, one of other"
        ):
            tokenizer.apply_chat_template(TALK)
        tokenizer.chat_template = None
        with pytest.raises(ValueError, match="has no chat_template: its model was not trained for"):
            tokenizer.apply_chat_template(TALK)
    finally:
        tokenizer.chat_template = before


@pytest.mark.parametrize(
    "talk, options, error, message",
    [
        ([], {}, ValueError, "at least one message"),
        ([{"content": "hi"}], {}, ValueError, "a message is .*, not {'content': 'hi'}"),
        (["hi"], {}, ValueError, "a message is"),
        (TALK, {"chat_template": "{{ oops"}, ValueError, "is no Jinja: line 1"),
        (TALK, {"chat_template": "{{ raise_exception('no') }}"}, ValueError, "refuses this .*: no"),
        (TALK, {"chat_template": "{{ messages.append(1) }}"}, ValueError, "refuses"),
        (TALK, {"chat_template": "{{ ''.__class__.__mro__ }}"}, ValueError, "refuses"),
        (TALK, {"chat_template": "-", "continue_final_message": True}, ValueError, "last message out"),
        (TALK, {"add_generation_prompt": True, "continue_final_message": True}, ValueError, "not both"),
        (TALK, {"return_assistant_tokens_mask": True}, TypeError, "no option return_assistant"),
        (TALK, {"tools": [print]}, TypeError, "sees strings, numbers"),
        ([{"role": "user"}], {"continue_final_message": True}, ValueError, "has no text to go on"),
    ],
)  # fmt: skip
def test_what_templates_refuse(talk, options, error, message, tokenizer):
    with pytest.raises(error, match=message):
        tokenizer.apply_chat_template(talk, **options)


def test_templates_of_folders(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    transformers = pytest.importorskip("transformers")
    assert transformers.AutoTokenizer.from_pretrained(tmp_path).chat_template == TEMPLATE
    (tmp_path / "chat_template.jinja").write_text("own file")
    assert models.AutoTokenizer.from_pretrained(tmp_path).chat_template == "own file"


# -- conversations ---------------------------------------------------------------------------------


def read_anew(model, tokenizer, messages, count):
    """The answer without a cache of earlier turns."""
    given = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="mg")
    ids = given["input_ids"]
    found = model.generate(ids, max_new_tokens=count, do_sample=False)[0, ids.shape[1] :]
    return tokenizer.decode(found, skip_special_tokens=True).strip()


def test_turns_go_on_from_the_cache(model, tokenizer):
    model.config.max_position_embeddings = 400
    chat = Chat(model, tokenizer, system="be kind", max_new_tokens=6, do_sample=False)
    lengths, forward = [], model.model.forward
    model.model.forward = lambda ids, *rest, **options: (
        lengths.append(ids.shape[1]) or forward(ids, *rest, **options)
    )
    before = 0  # tokens of the conversation's text of the last turn, without the answer
    for text in ["hello", "hello world", "größe"]:
        lengths.clear()
        whole = len(chat._ids([*chat.messages, {"role": "user", "content": text}]))
        answer = chat.say(text)
        messages = chat.messages[:-1]
        assert lengths[0] <= whole - before
        before = whole
        assert len(chat.read) == chat.cache.get_seq_length()
        assert answer == read_anew(model, tokenizer, messages, 6)
    assert [m["role"] for m in chat.messages] == ["system"] + 3 * ["user", "assistant"]
    chat.reset()
    assert chat.messages == [{"role": "system", "content": "be kind"}] and not chat.read
    assert chat.say("hello") == read_anew(model, tokenizer, chat.messages[:-1], 6)


def test_a_full_context_forgets_the_oldest_turns(model, tokenizer):
    model.config.max_position_embeddings = 400
    chat = Chat(model, tokenizer, "be kind", context=64, max_new_tokens=8, do_sample=False)
    forgotten = []
    for text in ["hello world hello", "what is that?", "hello", "and now?", "hello world"]:
        chat.say(text)
        forgotten.append(chat.forgotten)
        assert len(chat._ids(chat.messages[:-1])) <= 64 - 8
        assert chat.messages[0]["role"] == "system" and chat.messages[-2]["content"] == text
        assert chat.messages[-1]["content"] == read_anew(model, tokenizer, chat.messages[:-1], 8)
    assert forgotten[0] == 0 and sum(forgotten) >= 2
    before = list(chat.messages)
    with pytest.raises(ValueError, match=r"the message makes \d+ tokens, .* 56 fit beside 8 of"):
        chat.say("much too long " * 10)
    assert chat.messages == before
    with pytest.raises(ValueError, match="64 new tokens leave none of the 64"):
        Chat(model, tokenizer, context=64, max_new_tokens=64)


class Interrupting(TextStreamer):
    """Raises the signal of Ctrl-C, or an error, at the third token."""

    def __init__(self, tokenizer, error=None):
        super().__init__(tokenizer, skip_prompt=True)
        self.count, self.error = 0, error

    def put(self, value):
        super().put(value)
        self.count += 1
        if self.count == 4:
            if self.error:
                raise self.error
            signal.raise_signal(signal.SIGINT)


def test_interrupts(model, tokenizer, capsys):
    model.config.max_position_embeddings = 400
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    chat = Chat(model, tokenizer, max_new_tokens=20, do_sample=False)
    said = []
    handler = signal.getsignal(signal.SIGINT)
    cli.generate.converse(chat, ["hello", "/reset", "/quit"], Interrupting(tokenizer), said.append)
    assert said == ["(stopped)", "The conversation begins anew."]
    assert signal.getsignal(signal.SIGINT) is handler
    interrupt = Interrupt()
    interrupt.stop()
    chat.say("hello", interrupt=interrupt)
    assert len(chat.read) == len(chat._ids(chat.messages[:1]))  # one token, not read yet
    model.generation_config.eos_token_id = 4
    assert chat.say("hello") == read_anew(model, tokenizer, chat.messages[:-1], 20)
    before = list(chat.messages)
    with pytest.raises(RuntimeError, match="out of paper"):
        chat.say("hello", Interrupting(tokenizer, RuntimeError("out of paper")))
    assert chat.messages == before and chat.say("hello") == chat.messages[-1]["content"]
    assert chat.messages[-1]["content"] == read_anew(model, tokenizer, chat.messages[:-1], 20)


# -- commands --------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, capsys):
    """The command with arguments and lines of stdin: (what it printed, what it said on stderr)."""
    pytest.importorskip("typer")

    def called(*arguments, lines=""):
        monkeypatch.setattr(sys, "argv", ["minigrad", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return called


def test_generate(run, folder, model, tokenizer):
    file = folder / "tiny.gguf"
    ids = tokenizer("hello world", return_tensors="mg").input_ids
    expected = tokenizer.decode(
        model.generate(ids, max_new_tokens=12, do_sample=False)[0], skip_special_tokens=True
    )
    options = ("--max-new-tokens", 12)
    code, out, err = run("generate", "hello world", "--model", file, *options)
    assert (code, out) == (0, expected + "\n")
    assert run("generate", "--model", folder, *options, lines="hello world\n")[1] == out
    beams = model.generate(ids, max_new_tokens=12, num_beams=3, do_sample=False)[0]
    code, found, _ = run("generate", "hello world", "--model", file, "--beams", 3, *options)
    assert found == tokenizer.decode(beams, skip_special_tokens=True) + "\n"
    drawn = [
        run("generate", "hello", "--model", file, "--temperature", 1.5, "--top-k", 50, "--top-p", 0.9,
            "--min-p", 0.01, "--repetition-penalty", 1.2, "--seed", seed, *options)[1]
        for seed in (1, 1, 2)
    ]  # fmt: skip
    assert drawn[0] == drawn[1] != drawn[2]
    word = expected[-2:]
    code, stopped, _ = run("generate", "hello world", "--model", file, "--stop", word, *options)
    assert stopped.rstrip("\n").endswith(word) and len(stopped) <= len(out)
    small = models.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file.name, load_in_8bit=True
    )
    expected = small.generate(ids, max_new_tokens=12, do_sample=False)[0]
    code, out, _ = run("generate", "hello world", "--model", file, "--int8", *options)
    assert out == tokenizer.decode(expected, skip_special_tokens=True) + "\n"


def test_generate_from_other_folders(run, folder, tokenizer, tmp_path):
    models.AutoModelForCausalLM.from_pretrained(folder, gguf_file="tiny.gguf").save_pretrained(
        tmp_path
    )
    tokenizer.save_pretrained(tmp_path)
    given = ("generate", "hello", "--max-new-tokens", 5, "--model")
    assert run(*given, tmp_path)[1] == run(*given, folder)[1]
    mg.manual_seed(0)
    config = models.T5Config(
        vocab_size=len(tokenizer), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2,
        decoder_start_token_id=0, eos_token_id=4, pad_token_id=0,
    )  # fmt: skip
    models.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    code, out, err = run(*given, tmp_path)
    assert code == 0 and out.endswith("\n")
    code, out, err = run(*given, tmp_path / "nowhere")
    assert code == 2 and "is neither a GGUF file nor a folder with config.json" in err


def test_chat(run, folder, model, tokenizer):
    options = ("--model", folder, "--max-new-tokens", 6, "--temperature", 0)
    lines = "hello\n\n/what is\n/reset\nhello\n/quit\nnever read\n"
    code, out, err = run("chat", *options, lines=lines)
    talk = [{"role": "user", "content": "hello"}]
    answer = read_anew(model, tokenizer, talk, 6)
    assert code == 0 and out.split("\n")[0].strip() == answer.split("\n")[0]
    assert err.splitlines() == [
        "There is no /what: /reset begins anew, /quit or Ctrl-D ends, Ctrl-C stops an answer.",
        "The conversation begins anew.",
    ]
    assert out == out[: len(out) // 2] * 2  # the same conversation twice
    again = run("chat", *options, lines="hello\n/reset\nhello\n")
    assert again[:2] == (0, out)
    code, out, err = run(
        "chat", "--model", folder, "--max-new-tokens", 6, "--context", 40, "--seed", 1, "--system",
        "be kind", lines="hello\nhello world\nwhat now\n" + "long " * 20 + "\nhello\n",
    )  # fmt: skip
    assert "The context of 40 tokens is full: the oldest turn is forgotten.)" in err
    assert "tokens, with the system's; 34 fit beside 6 of an answer" in err
    code, out, err = run("chat", *options, "--context", 5)
    assert code == 2 and "6 new tokens leave none of the 5 of the context" in err


def test_typed_lines(monkeypatch):
    given = iter(["one", KeyboardInterrupt(), "two", EOFError()])

    def typed(prompt):
        value = next(given)
        if isinstance(value, BaseException):
            raise value
        return value

    monkeypatch.setattr("builtins.input", typed)
    assert list(cli.generate.typed()) == ["one", "two"]
