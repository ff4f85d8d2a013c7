"""GenerationConfig: defaults, folders, values that can't be; against transformers'."""

import json

import pytest

from minigrad.generation import GenerationConfig
from minigrad.generation.config import DEFAULTS, NAMES
from minigrad.models import GPT2Config

transformers = pytest.importorskip("transformers")


def test_names_and_defaults_are_those_of_transformers():
    known = transformers.GenerationConfig()
    values = known.to_dict()
    assert set(NAMES) <= set(values)
    assert all(getattr(GenerationConfig(), name) is None for name in NAMES)
    theirs = known._get_default_generation_params()
    assert {name: theirs[name] for name in DEFAULTS} == DEFAULTS


def test_folders_go_both_ways(tmp_path):
    ours = GenerationConfig(
        max_new_tokens=7, do_sample=True, top_p=0.9, eos_token_id=[1, 2], mine=3
    )
    ours.save_pretrained(tmp_path / "ours")
    text = (tmp_path / "ours" / "generation_config.json").read_text()
    assert json.loads(text) == {
        "max_new_tokens": 7, "do_sample": True, "top_p": 0.9, "eos_token_id": [1, 2], "mine": 3
    }  # fmt: skip
    assert GenerationConfig.from_pretrained(tmp_path / "ours") == ours
    assert GenerationConfig.from_pretrained(tmp_path / "ours", top_p=0.5).top_p == 0.5
    known = transformers.GenerationConfig.from_pretrained(tmp_path / "ours")
    assert known.top_p == 0.9 and known.eos_token_id == [1, 2] and known.mine == 3
    known.save_pretrained(tmp_path / "theirs")
    again = GenerationConfig.from_pretrained(tmp_path / "theirs")
    assert again.do_sample and again.max_new_tokens == 7 and "top_p" in repr(again)
    (tmp_path / "generation_config.json").write_text("[1]")
    with pytest.raises(ValueError, match="holds a list, not an object"):
        GenerationConfig.from_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        GenerationConfig.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="reads a local folder"):
        GenerationConfig.from_pretrained(tmp_path / "nowhere")


def test_from_a_models_configuration():
    config = GPT2Config(eos_token_id=[4, 5], pad_token_id=0, num_beams=3, output_attentions=True)
    found = GenerationConfig.from_model_config(config)
    known = transformers.GPT2Config(eos_token_id=[4, 5], pad_token_id=0, output_attentions=True)
    known = transformers.GenerationConfig.from_model_config(known)
    for name in set(NAMES) - {"num_beams"}:
        assert getattr(found, name) == getattr(known, name), name
    assert found.num_beams == 3  # what old files keep there
    assert found.eos_token_ids == [4, 5] and GenerationConfig().eos_token_ids == []
    assert GenerationConfig(eos_token_id=0).eos_token_ids == [0]


def test_update_and_fill():
    config = GenerationConfig(top_k=3)
    assert config.update(top_k=5, num_beams=2, input_ids=1) == {"input_ids": 1}
    assert (config.top_k, config.num_beams) == (5, 2)
    config.fill({"top_k": 9, "top_p": 0.3})
    assert (config.top_k, config.top_p) == (5, 0.3)
    assert config.to_diff_dict() == {"top_k": 5, "num_beams": 2, "top_p": 0.3}


@pytest.mark.parametrize(
    "values, message",
    [
        ({"temperature": -1.0}, "temperature must be a number above 0"),
        ({"temperature": "hot"}, "temperature must be a number above 0"),
        ({"top_k": 1.5}, "top_k must be a whole number, 0 for all tokens, not 1.5"),
        ({"top_p": -0.1}, "top_p must be a number from 0 to 1"),
        ({"min_p": 2}, "min_p must be"),
        ({"num_beams": 0}, "num_beams must be a whole number above 0"),
        ({"num_beams": True}, "num_beams must be a whole number above 0"),
        ({"early_stopping": "soon"}, "True, False or \"never\", not 'soon'"),
        ({"repetition_penalty": 0}, "repetition_penalty must be a number above 0"),
        ({"max_time": -1}, "max_time must be a number of seconds"),
        ({"num_beams": 2, "num_return_sequences": 3}, "=3 is more than num_beams=2"),
        ({"num_return_sequences": 2}, "needs do_sample=True or num_beams"),
        (
            {"forced_eos_token_id": 3, "suppress_tokens": [2, 3]},
            r"forced_eos_token_id forces \[3\], which suppress_tokens forbids",
        ),
        ({"penalty_alpha": 0.6}, "penalty_alpha=0.6 is not built here"),
        ({"num_beam_groups": 2}, "num_beam_groups=2 is not built here"),
    ],
)
def test_values_that_cannot_be(values, message):
    with pytest.raises(ValueError, match=message):
        GenerationConfig(**values)
    with pytest.raises(ValueError, match=message):
        GenerationConfig().update(**values)
