import math

import pytest
import torch

from llmlib.train import TrainConfig, Trainer, accumulate_gradients, cosine_schedule, token_loss


def config(**changes):
    base = dict(steps=30, batch_size=8, seq_len=8, lr=1e-2, warmup_steps=2, weight_decay=0.0, progress=False)
    return TrainConfig(**{**base, **changes})


def gradients(model):
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_training_learns_what_can_be_learned(tokens, make_model, optimizer, schedule):
    lrs = dict(lr=0.02, embedding_lr=0.02, head_lr=0.02, vector_lr=0.02) if optimizer == "muon" else dict(lr=1e-2)
    settings = config(steps=100, optimizer=optimizer, schedule=schedule, final_lr=0.0, **lrs)
    history = Trainer(make_model(), settings, tokens[:1800], evaluate=tokens[1800:]).run()
    assert history.val_steps == [0, 100]
    assert history.val_loss[0] == pytest.approx(math.log(7), abs=0.1)
    assert history.val_loss[1] < math.log(2) + 0.15  # two continuations are equally likely: ln 2 is the floor
    assert history.val_loss[1] > math.log(2) - 0.1


def test_same_seed_same_run_and_another_seed_another(tokens, make_model):
    runs = [Trainer(make_model(), config(steps=5, seed=seed), tokens).run().train_loss for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_history_and_events(tokens, make_model):
    seen = []
    trainer = Trainer(
        make_model(),
        config(steps=7, eval_every=3),
        tokens,
        evaluate=tokens[:50],
        callbacks=[lambda t, event: seen.append((event, t.step))],
    )
    history = trainer.run()
    assert history.steps == [1, 2, 3, 4, 5, 6, 7]
    assert history.val_steps == [0, 3, 6, 7]
    assert len(history.train_loss) == len(history.seconds) == 7
    assert history.seconds == sorted(history.seconds)
    assert history.val_seconds[0] == 0.0
    assert history.val_seconds[-1] == history.training_seconds > 0
    assert [step for event, step in seen if event == "step"] == history.steps
    assert [step for event, step in seen if event == "eval"] == history.val_steps
    assert seen[0] == ("start", 0)
    assert seen[-1] == ("end", 7)


def test_a_callback_can_stop_the_run(tokens, make_model):
    def stop_at_four(trainer, event):
        trainer.stop = trainer.step == 4

    assert Trainer(make_model(), config(), tokens, callbacks=[stop_at_four]).run().steps == [1, 2, 3, 4]


def test_seconds_to_a_loss(tokens, make_model):
    history = Trainer(make_model(), config(steps=2, eval_every=1), tokens, evaluate=tokens[:50]).run()
    history.val_loss, history.val_seconds = [3.0, 2.0, 1.0], [0.0, 1.5, 2.5]
    assert history.seconds_to(2.5) == 1.5
    assert history.seconds_to(1.0) == 2.5
    assert history.seconds_to(0.5) is None


def test_learning_rates_follow_the_schedule(tokens, make_model):
    settings = config(steps=10, warmup_steps=3, lr=0.5, embedding_lr=0.1, schedule="cosine", final_lr=0.1)
    trainer = Trainer(make_model(), settings, tokens)
    for step in range(10):
        trainer.train_step()
        rates = {group["lr"] for group in trainer.optimizers[0].param_groups}
        share = cosine_schedule(step, 10, warmup_steps=3, final=0.1)
        assert rates == {0.5 * share, 0.1 * share}


def test_accumulation_equals_one_large_batch_even_with_unequal_parts(tokens, make_model):
    model = make_model()
    x, y = tokens[:48].view(6, 8), tokens[1:49].view(6, 8).clone()
    y[0, 3:] = -100  # the first part holds fewer targets than the others
    loss = accumulate_gradients(model, [(x, y)])
    whole = gradients(model)
    model.zero_grad()
    in_parts = accumulate_gradients(model, [(x[:1], y[:1]), (x[1:3], y[1:3]), (x[3:], y[3:])])
    assert in_parts == pytest.approx(loss, abs=1e-6)
    assert loss == pytest.approx(token_loss(model(x), y).item() / 43, abs=1e-6)
    for a, b in zip(whole, gradients(model)):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_accumulating_trainer_draws_that_many_batches(tokens, make_model):
    trainer = Trainer(make_model(), config(accumulate=3), tokens)
    drawn, draw = [], trainer.draw_batch
    trainer.draw_batch = lambda: drawn.append(draw()) or drawn[-1]
    trainer.train_step()
    assert len(drawn) == 3
    assert trainer.config.tokens_per_step == sum(x.numel() for x, _ in drawn)


class Slopes(torch.nn.Module):
    """Two parameters whose gradients are what the batch says: (2,) and (1,)."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))

    def forward(self, slopes):
        return (slopes[:2] * self.a).sum() + (slopes[2:] * self.b).sum()


def one_descent(grad_clip, slopes=(3.0, 0.0, 4.0)):
    """Minus the gradients that reach the optimizer."""
    model = Slopes()
    Trainer(
        model,
        config(steps=1, warmup_steps=0, grad_clip=grad_clip),
        lambda number: torch.tensor(slopes),
        loss=lambda model, batch: (model(batch), 1),
        optimizers=[torch.optim.SGD(model.parameters(), lr=1.0)],
    ).run()
    return model.a.tolist(), model.b.item()


def test_clipping_is_global():
    assert one_descent(10.0) == ([-3.0, 0.0], -4.0)  # below the limit nothing changes
    a, b = one_descent(0.5)
    assert a == pytest.approx([-0.3, 0.0], abs=1e-5)
    assert b == pytest.approx(-0.4, abs=1e-5)


def test_clipping_equals_torch_and_zero_means_off():
    assert one_descent(0.0, (300.0, 0.0, 400.0)) == ([-300.0, 0.0], -400.0)
    slopes = torch.randn(3, generator=torch.Generator().manual_seed(0)).tolist()
    theirs = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    theirs[0].grad, theirs[1].grad = torch.tensor(slopes[:2]), torch.tensor(slopes[2:])
    torch.nn.utils.clip_grad_norm_(theirs, 0.7)
    a, b = one_descent(0.7, slopes)
    assert a == pytest.approx((-theirs[0].grad).tolist())
    assert b == pytest.approx(-theirs[1].grad.item())


def test_trainer_clips(tokens, make_model):
    norms = []

    def note(trainer, event):
        if event == "step":
            norms.append(torch.stack([g.norm() for g in seen_gradients]).norm().item())

    trainer = Trainer(make_model(), config(steps=3, grad_clip=0.01), tokens, callbacks=[note])
    seen_gradients = []
    step = trainer.optimizers[0].step
    trainer.optimizers[0].step = lambda: (
        seen_gradients.clear(),
        seen_gradients.extend(p.grad.clone() for p in trainer.parameters),
        step(),
    )
    trainer.run()
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)


def test_bfloat16_keeps_fp32_weights_and_learns(tokens, make_model):
    model = make_model()
    history = Trainer(model, config(steps=60, dtype="bfloat16", device="cpu"), tokens, evaluate=tokens[:200]).run()
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert history.val_loss[-1] < 1.2


def test_failing_compile_falls_back_with_a_warning(tokens, make_model, monkeypatch):
    def broken_compile(model):
        def forward(ids):
            raise RuntimeError("no C++ compiler\nand a long trace")

        return forward

    monkeypatch.setattr(torch, "compile", broken_compile)
    trainer = Trainer(make_model(), config(steps=3, compile=True), tokens)
    with pytest.warns(UserWarning, match=r"torch.compile failed.*\(no C\+\+ compiler\)"):
        history = trainer.run()
    plain = Trainer(make_model(), config(steps=3), tokens).run()
    assert history.train_loss == plain.train_loss


def test_frozen_parameters_do_not_move(tokens, make_model):
    model = make_model()
    model.token_embedding.requires_grad_(False)
    before = model.token_embedding.weight.clone()
    Trainer(model, config(steps=3), tokens).run()
    assert torch.equal(before, model.token_embedding.weight)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable parameter"):
        Trainer(model, config(), tokens)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(steps=0), "steps=0 must be at least 1"),
        (dict(batch_size=0), "batch_size=0"),
        (dict(accumulate=-1), "accumulate=-1"),
        (dict(lr=-0.1), "lr=-0.1"),
        (dict(optimizer="lion"), "optimizer='lion' is unknown: choose one of adamw, muon"),
        (dict(schedule="linear"), "schedule='linear'"),
        (dict(dtype="float8"), "dtype='float8'"),
        (dict(warmup_steps=31), "warmup_steps=31 must lie between 0 and steps=30"),
        (dict(decay_fraction=2.0), "decay_fraction=2.0"),
    ],
)
def test_bad_configs_are_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as problem:
        config(**changes)
    assert "\n" not in str(problem.value)


def test_replace_checks_again():
    assert config().replace(steps=40).steps == 40
    with pytest.raises(ValueError, match="steps=-1"):
        config().replace(steps=-1)
    with pytest.raises(ValueError, match="'learning_rate' is not a training setting"):
        config().replace(learning_rate=1.0)


def test_bad_data_is_refused_in_one_line(tokens, make_model):
    model = make_model()
    cases = [
        (config(seq_len=9), tokens, None, "seq_len=9 exceeds the model's max_seq_len=8"),
        (config(), tokens[:8], None, "batches holds 8 ids but at least 9 are needed"),
        (config(), tokens, tokens[:1], "evaluate holds 1 ids"),
        (config(), tokens[None], None, "batches must be a one-dimensional tensor"),
        (config(), tokens.tolist(), None, "got list"),
        (config(), tokens + 1, None, "batches holds id 7, outside the model's vocab_size=7"),
        (config(), tokens, tokens - 1, "evaluate holds id -1"),
    ]
    for settings, train_tokens, val_tokens, message in cases:
        with pytest.raises(ValueError, match=message) as problem:
            Trainer(model, settings, train_tokens, evaluate=val_tokens)
        assert "\n" not in str(problem.value)
    with pytest.raises(ValueError, match="evaluate is None"):
        Trainer(model, config(), tokens).evaluate()
