"""Trainer in mixed precision: bf16 anywhere, fp16 on a GPU; its scaler goes on in a resumed run."""

import numpy
import pytest
from finetuning_checks import STILL, arguments, examples, figures, tiny
from stand_in import gpu

import minigrad as mg
from minigrad.train import finetuning as ft

pytest.importorskip("ml_dtypes")


class Seen(ft.Trainer):
    """Notes the dtypes of logits and gradients, and the scale at each update."""

    def compute_loss(self, *args, **kwargs):
        loss, outputs = super().compute_loss(*args, **kwargs | {"return_outputs": True})
        self.dtypes = getattr(self, "dtypes", set()) | {outputs["logits"].dtype, loss.dtype}
        return (loss, outputs) if kwargs.get("return_outputs") else loss

    def _update(self):
        assert all(p.grad.dtype is mg.float32 for p in self.model.parameters())
        super()._update()
        self.scales = [*getattr(self, "scales", []), self.scaler.get_scale()]


def run(folder, device="cpu", resume=None, model=None, **changes):
    model = tiny(**STILL) if model is None else model
    args = arguments(folder, num_train_epochs=2, gradient_accumulation_steps=2, **changes)
    trainer = Seen(model.to(device), args, train_dataset=examples(24))
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def losses(trainer):
    return [log["loss"] for log in trainer.state.log_history if "loss" in log]


def test_bf16_on_the_cpu(tmp_path):
    exact, found = run(tmp_path / "a"), run(tmp_path / "b", bf16=True)
    assert found.dtypes == {mg.bfloat16, mg.float32} and exact.dtypes == {mg.float32}
    assert set(found.scales) == {1.0} and not mg.is_autocast_enabled("cpu")
    numpy.testing.assert_allclose(losses(found), losses(exact), rtol=0.02)
    output = found.predict(examples(8))
    assert output.predictions.dtype == "float32"


def test_a_resumed_run_in_bf16_is_the_same(tmp_path):
    whole = run(tmp_path / "a", bf16=True, save_strategy="steps", save_steps=1)
    for step in (1, 2):
        again = run(tmp_path / "b", bf16=True, resume=str(tmp_path / "a" / f"checkpoint-{step}"))
        assert figures(again.state.log_history)[:-1] == figures(whole.state.log_history)[:-1]


def test_fp16_needs_a_gpu(tmp_path):
    with pytest.raises(ValueError, match="fp16 mixed precision requires a GPU"):
        run(tmp_path, fp16=True)


def test_fp16_on_a_gpu_with_steps_left_out(tmp_path):
    with gpu():
        exact = run(tmp_path / "a", "cuda", max_grad_norm=0.0)
        model = tiny(**STILL)
        whole = run(
            tmp_path / "b", "cuda", model=model, fp16=True, max_grad_norm=0.0,
            save_strategy="steps", save_steps=1,
        )  # fmt: skip
        assert whole.dtypes == {mg.float16, mg.float32}
        numpy.testing.assert_allclose(losses(whole)[:2], losses(exact)[:2], rtol=0.01)
        again = run(
            tmp_path / "c", "cuda", resume=str(tmp_path / "b" / "checkpoint-2"), fp16=True,
            max_grad_norm=0.0,
        )  # fmt: skip
        assert again.scales == whole.scales[2:]
        assert figures(again.state.log_history)[:-1] == figures(whole.state.log_history)[:-1]


def test_an_overflow_leaves_step_and_schedule_out(tmp_path):
    class Overflows(Seen):
        """The second update's gradient is not finite."""

        def _update(self):
            if self.state.global_step == 1:
                next(self.model.parameters()).grad.fill_(float("inf"))
            super()._update()
            self.rates = [*getattr(self, "rates", []), self._place.learning_rate]

    with gpu():
        args = arguments(tmp_path, max_steps=4, fp16=True, logging_nan_inf_filter=False)
        trainer = Overflows(tiny(**STILL).to("cuda"), args, train_dataset=examples(32))
        trainer.train()
        assert trainer.scales == [2.0**16, 2.0**15, 2.0**15, 2.0**15]
        assert trainer.rates[1] == trainer.rates[2]
        weights = [p.detach().cpu().numpy() for p in trainer.model.parameters()]
        assert all(numpy.isfinite(w).all() for w in weights)
