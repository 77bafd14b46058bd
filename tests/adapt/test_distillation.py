"""Distillation's losses against torch's own divergence, and a student that learns from a teacher."""

import copy

import pytest
import torch
import torch.nn.functional as F

from llmlib.adapt import (
    DistillationLoss,
    HiddenStateLoss,
    OnPolicyLoss,
    attach_projections,
    distillation_kl,
    drop_projections,
    hidden_distance,
    teacher_batches,
)
from llmlib.infer import generate
from llmlib.model import ModelConfig, Transformer, record
from llmlib.train import TrainConfig, Trainer, mean_cross_entropy, next_token_loss

VOCAB = 9


def build(seed=0, scale=8.0, **changes):
    shape = dict(vocab_size=VOCAB, n_layers=2, d_model=16, n_heads=2, d_ff=32, max_seq_len=24)
    model = Transformer(ModelConfig(**shape | changes)).eval()
    model.init_weights(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(scale)
    return model


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ids(rows=4, length=8, seed=0):
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


def config(steps, **changes):
    return TrainConfig(steps=steps, lr=3e-3, device="cpu", progress=False, **changes)


# The divergence


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_divergence_is_torchs(temperature):
    student, teacher = draw(3, 5, VOCAB), draw(3, 5, VOCAB, seed=1)
    s, t = F.log_softmax(student / temperature, -1), F.log_softmax(teacher / temperature, -1)
    expected = temperature**2 * F.kl_div(s, t, reduction="none", log_target=True).sum(-1)
    assert torch.allclose(distillation_kl(student, teacher, temperature), expected, atol=1e-5)
    expected = temperature**2 * F.kl_div(t, s, reduction="none", log_target=True).sum(-1)
    assert torch.allclose(distillation_kl(student, teacher, temperature, "reverse"), expected, atol=1e-5)
    assert torch.allclose(distillation_kl(teacher, teacher, temperature), torch.zeros(3, 5), atol=1e-6)


def test_by_hand():
    student, teacher = torch.zeros(2), torch.tensor([3.0, 1.0]).log()  # (1/2, 1/2) and (3/4, 1/4)
    forward = 0.75 * torch.log(torch.tensor(1.5)) + 0.25 * torch.log(torch.tensor(0.5))
    assert torch.allclose(distillation_kl(student, teacher), forward)


def test_the_gradient_keeps_its_size_at_high_temperature():
    """As 1 / T^2 without the factor; with it, towards the mean-free difference of the logits by V (Hinton et al.)."""
    student, teacher = draw(VOCAB), draw(VOCAB, seed=1)
    gradients = {}
    for temperature in (1.0, 50.0, 100.0):
        logits = student.clone().double().requires_grad_()
        distillation_kl(logits, teacher, temperature).backward()
        gradients[temperature] = logits.grad
    assert torch.allclose(gradients[50.0], gradients[100.0], atol=0.01 * gradients[100.0].abs().max().item())
    difference = student - teacher
    limit = (difference - difference.mean()).double() / VOCAB
    assert torch.allclose(gradients[100.0], limit, atol=0.05 * limit.abs().max().item())


def test_the_teacher_gets_no_gradient():
    student, teacher = draw(VOCAB).requires_grad_(), draw(VOCAB, seed=1).requires_grad_()
    distillation_kl(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_divergence_refuses():
    with pytest.raises(ValueError, match="temperature=0 must be positive"):
        distillation_kl(draw(4), draw(4), 0)
    with pytest.raises(ValueError, match="divergence='js' is none of forward, reverse"):
        distillation_kl(draw(4), draw(4), 1.0, "js")
    with pytest.raises(ValueError, match=r"student_logits is \(1, 4\), teacher_logits \(3, 4\)"):
        distillation_kl(draw(1, 4), draw(3, 4))


# As a loss for the Trainer


def test_loss_is_the_weighted_sum_over_the_targets():
    student, teacher = build(0), build(1)
    x = ids()
    y = torch.full_like(x, -100)
    y[:, 3:6] = x[:, 4:7]
    total, count = DistillationLoss(teacher, temperature=3.0, weight=0.3)(student, (x, y))
    soft = distillation_kl(student(x)[:, 3:6], teacher(x)[:, 3:6], 3.0).sum()
    hard = F.cross_entropy(student(x)[:, 3:6].flatten(0, 1), y[:, 3:6].flatten(), reduction="sum")
    assert torch.allclose(total, 0.3 * soft + 0.7 * hard, rtol=1e-5) and count == 12
    labels_alone, _ = DistillationLoss(teacher, weight=0.0)(student, (x, y))
    assert torch.allclose(labels_alone, next_token_loss(student, (x, y))[0])
    with torch.no_grad():  # held-out losses compare with those of other runs
        assert torch.equal(DistillationLoss(teacher)(student, x)[0], next_token_loss(student, x)[0])


def test_padding_and_documents_reach_both_models():
    student, teacher = build(0), build(1)
    loss = DistillationLoss(teacher)
    padded = {"ids": torch.tensor([[1, 2, 3, 0]]), "pad_mask": torch.tensor([[True, True, True, False]])}
    assert torch.allclose(loss(student, padded)[0], loss(student, torch.tensor([[1, 2, 3]]))[0], rtol=1e-5)
    packed = {"ids": torch.tensor([[1, 2, 3, 4, 5]]), "segments": torch.tensor([[0, 0, 0, 1, 1]])}
    apart = loss(student, torch.tensor([[1, 2, 3]]))[0] + loss(student, torch.tensor([[4, 5]]))[0]
    assert torch.allclose(loss(student, packed)[0], apart, rtol=1e-5)


def test_a_teacher_in_training_mode_is_asked_in_evaluation_mode_and_left_alone():
    teacher = build(1, dropout=0.5).train()
    before = copy.deepcopy(teacher.state_dict())
    student, loss = build(0), DistillationLoss(teacher, weight=1.0)
    first, second = loss(student, ids())[0], loss(student, ids())[0]
    first.backward()
    assert torch.equal(first, second) and teacher.training
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_a_student_comes_to_think_what_its_teacher_thinks():
    teacher, student = build(1), build(2)
    divergence = lambda: distillation_kl(student(ids()), teacher(ids())).mean().item()
    before = divergence()
    batches = [ids(16, seed=seed) for seed in range(5)]
    Trainer(student, config(30), batches, loss=DistillationLoss(teacher, temperature=2.0, weight=1.0)).run()
    assert divergence() < 0.5 * before


def test_loss_refuses():
    teacher = build(1)
    with pytest.raises(ValueError, match="temperature=-1 must be positive"):
        DistillationLoss(teacher, temperature=-1)
    with pytest.raises(ValueError, match=r"weight=1\.5 must lie in \[0, 1\]"):
        DistillationLoss(teacher, weight=1.5)
    with pytest.raises(ValueError, match=r"teacher gives 5 logits a token, the student 9: .*same tokenizer"):
        DistillationLoss(build(vocab_size=5))(build(), ids() % 5)
    with pytest.raises(ValueError, match="would show it the answers"):
        DistillationLoss(teacher)(build(causal=False), ids())


# Hidden states


def test_hidden_states_are_compared_token_by_token():
    student, teacher = build(0), build(1, n_layers=3)
    loss = HiddenStateLoss(teacher, {"blocks.0": "blocks.1"}, weight=0.5)
    total, count = loss(student, ids())
    with record(student, "blocks.0") as h, record(teacher, "blocks.1") as goal, torch.no_grad():
        student(ids()), teacher(ids())
    expected = next_token_loss(student, ids())[0] + 0.5 * (h["blocks.0"] - goal["blocks.1"]).square().mean() * count
    assert torch.allclose(total, expected, rtol=1e-5)
    total.backward()
    plain = build(0)
    next_token_loss(plain, ids())[0].backward()
    weight = lambda model: model.blocks[0].mlp.up_proj.weight.grad
    assert not torch.allclose(weight(student), weight(plain), rtol=0.01)
    assert torch.equal(student.blocks[1].mlp.up_proj.weight.grad, plain.blocks[1].mlp.up_proj.weight.grad)
    with torch.no_grad():
        assert torch.equal(loss(student, ids())[0], next_token_loss(student, ids())[0])
    assert not any(part._forward_hooks for model in (student, teacher) for part in model.modules())


def test_distances():
    h = draw(3, 4)
    assert torch.allclose(hidden_distance(2 * h, h, "cosine"), torch.zeros(3), atol=1e-6)
    assert torch.allclose(hidden_distance(2 * h, h), h.square().mean(-1))
    assert hidden_distance(-h, h, "cosine").allclose(torch.full((3,), 2.0))


def test_hidden_states_beside_logits_need_the_teacher_once():
    student, teacher = build(0), build(1)
    calls = []
    handle = teacher.register_forward_hook(lambda *_: calls.append(1))
    logits = DistillationLoss(teacher)
    both = HiddenStateLoss(teacher, {"blocks.1": "blocks.1"}, base=logits)(student, ids())[0]
    assert len(calls) == 1
    handle.remove()
    labels = HiddenStateLoss(teacher, {"blocks.1": "blocks.1"})(student, ids())[0]
    plain = next_token_loss(student, ids())[0]
    assert torch.allclose(both - logits(student, ids())[0], labels - plain, rtol=1e-4, atol=1e-3)


def test_other_widths_need_a_projection():
    student, teacher = build(0, d_model=8), build(1)
    layers = {"blocks.1": "blocks.1"}
    loss = HiddenStateLoss(teacher, layers)
    with pytest.raises(ValueError, match=r"blocks.1 puts out \(4, 8, 8\), .* call attach_projections"):
        loss(student, ids())
    names = set(student.state_dict())
    projections = attach_projections(student, teacher, layers)
    before = hidden(loss, student)
    start = projections["blocks_1"].weight.detach().clone()
    Trainer(student, config(30), [ids()], loss=loss).run()
    assert not torch.equal(projections["blocks_1"].weight, start) and hidden(loss, student) < before
    drop_projections(student)
    assert set(student.state_dict()) == names
    with pytest.raises(ValueError, match=r"layers names 'blocks.7', which the teacher has not"):
        attach_projections(student, teacher, {"blocks.1": "blocks.7"})


def hidden(loss, student):
    total, count = loss(student, ids())
    return ((total - next_token_loss(student, ids())[0]) / count).item()


def test_hidden_states_leave_padding_out():
    student, teacher = build(0), build(1)
    loss = HiddenStateLoss(teacher, {"blocks.0": "blocks.0"})
    padded = {"ids": torch.tensor([[1, 2, 3, 0]]), "pad_mask": torch.tensor([[True, True, True, False]])}
    assert torch.allclose(loss(student, padded)[0], loss(student, torch.tensor([[1, 2, 3]]))[0], rtol=1e-5)


def test_hidden_state_loss_refuses():
    teacher = build(1)
    with pytest.raises(ValueError, match="layers is empty"):
        HiddenStateLoss(teacher, {})
    with pytest.raises(ValueError, match="kind='l1' is none of mse, cosine"):
        HiddenStateLoss(teacher, {"blocks.0": "blocks.0"}, kind="l1")
    with pytest.raises(ValueError, match=r"'blocks.9', which matches no part"):
        HiddenStateLoss(teacher, {"blocks.0": "blocks.9"})(build(), ids())


# Texts


def test_the_teachers_texts_are_batches():
    teacher = build(1)
    prompts = [[1, 2], [3], [4, 5, 6]]
    continued = generate(teacher, prompts, max_new_tokens=4, greedy=True)
    batches = teacher_batches(teacher, prompts, batch_size=2, max_new_tokens=4, pad_id=0)
    assert len(batches) == 2 and batches[1]["ids"].tolist() == [[4, 5, 6, *continued[2]]]
    first = batches[0]
    assert first["ids"].tolist() == [[1, 2, *continued[0]], [3, *continued[1], 0]]
    assert first["targets"].tolist() == [[-100, *continued[0], -100], [*continued[1], -100, -100]]
    assert first["pad_mask"].tolist() == [[True] * 6, [True] * 5 + [False]]
    assert next_token_loss(build(0), first)[1] == 8


def test_the_stop_token_is_learned_too():
    teacher = build(1)
    written = generate(teacher, [1, 2], max_new_tokens=6, greedy=True)
    stop = written[2]
    batch = teacher_batches(teacher, [[1, 2]], max_new_tokens=6, stop_tokens=[stop])[0]
    kept = written[: written.index(stop) + 1]
    assert batch["ids"].tolist() == [[1, 2, *kept]] and batch["targets"][0, 1:-1].tolist() == kept
    options = dict(max_new_tokens=20, temperature=3.0)
    draws = [teacher_batches(teacher, [[1]], generator=torch.Generator().manual_seed(s), **options) for s in (0, 0, 1)]
    first, again, other = (batches[0]["ids"].tolist() for batches in draws)
    assert first == again != other


def test_teacher_batches_refuse():
    with pytest.raises(ValueError, match="prompts holds 0"):
        teacher_batches(build(1), [])
    with pytest.raises(ValueError, match="max_new_tokens=0"):
        teacher_batches(build(1), [[1]], max_new_tokens=0)


def test_on_policy_compares_at_the_students_own_tokens():
    student, teacher = build(0), build(1)
    seed = lambda: torch.Generator().manual_seed(3)
    prompts = torch.tensor([[1, 2], [3, 4]])
    total, count = OnPolicyLoss(teacher, max_new_tokens=5, generator=seed())(student, prompts)
    written = torch.tensor(generate(student, prompts.tolist(), max_new_tokens=5, generator=seed()))
    texts = torch.cat([prompts, written], 1)
    kl = distillation_kl(student(texts)[:, 1:-1], teacher(texts)[:, 1:-1], divergence="reverse")
    assert count == 10 and torch.allclose(total, kl.sum(), rtol=1e-4)
    total.backward()
    assert student.blocks[0].mlp.up_proj.weight.grad.abs().sum() > 0


def test_on_policy_ends_at_the_stop_token_and_leaves_padding_out():
    student, teacher = build(0), build(1)
    batch = {"ids": torch.tensor([[1, 2, 3], [4, 0, 0]]), "pad_mask": torch.tensor([[True] * 3, [True, False, False]])}
    draws = lambda: torch.Generator().manual_seed(0)
    written = generate(student, [[1, 2, 3], [4]], max_new_tokens=6, generator=draws())
    stop = written[0][1]
    kept = [row[: row.index(stop) + 1] if stop in row else row for row in written]
    total, count = OnPolicyLoss(teacher, 6, stop_token=stop, generator=draws())(student, batch)
    assert count == sum(map(len, kept)) < 12
    expected = 0.0
    for prompt, row in zip([[1, 2, 3], [4]], kept):
        text = torch.tensor([prompt + row])
        places = slice(len(prompt) - 1, -1)
        expected += distillation_kl(student(text)[:, places], teacher(text)[:, places], divergence="reverse").sum()
    assert torch.allclose(total, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="max_new_tokens=0"):
        OnPolicyLoss(teacher, 0)


def test_on_policy_training_moves_the_student_to_the_teacher():
    teacher, student = build(1), build(2)
    texts = torch.tensor(generate(teacher, [[1]] * 32, max_new_tokens=8, generator=torch.Generator().manual_seed(0)))
    nats = lambda: float(mean_cross_entropy(student(texts)[:, :-1], texts[:, 1:]).detach())
    before = nats()
    loss = OnPolicyLoss(teacher, max_new_tokens=8, generator=torch.Generator().manual_seed(1))
    Trainer(student, config(25), [torch.ones(16, 1, dtype=torch.long)], loss=loss).run()
    assert nats() < before - 0.3
