"""The examples of docs/generation.md run, one after the other, and say what the page says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "generation.md"


def test_examples_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["ids"].shape[1] <= 14 and names["batch"]["attention_mask"].min() == 0
    assert (names["model"].generate(
        **names["prompt"], max_new_tokens=5, logits_processor=[names["only_even"]]
    )[:, -5:] % 2 == 0).all()  # fmt: skip
    assert capsys.readouterr().out.startswith("the cat")
