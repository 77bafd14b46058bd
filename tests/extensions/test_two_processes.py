"""The same script with one process and with two: DistributedDataParallel and FSDP2 over gloo, on this machine."""

import socket

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from llmlib.infer import generate
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer, distributed, load_checkpoint
from llmlib.train.memory import memory_plan, training_memory

fsdp = pytest.importorskip("torch.distributed.fsdp")
if not hasattr(fsdp, "fully_shard") or not dist.is_gloo_available():
    pytest.skip("this torch has no FSDP2 or no gloo", allow_module_level=True)

STEPS = 5
TOKENS = torch.randint(7, (2000,), generator=torch.Generator().manual_seed(1))


def model(optimizer):
    torch.manual_seed(0)
    shape = dict(vocab_size=7, n_layers=2, d_model=16, n_heads=2, max_seq_len=8, mlp="relu2")
    return Transformer(ModelConfig(**shape, tie_embeddings=optimizer == "adamw"))  # one tied head, one of its own


def trainer(model, batch_size, optimizer):
    config = TrainConfig(
        steps=STEPS, batch_size=batch_size, seq_len=8, accumulate=2, optimizer=optimizer, lr=0.01, warmup_steps=1,
        grad_clip=0.1, average=0.5, eval_every=2, progress=False, device="cpu",
    )  # fmt: skip
    return Trainer(model, config, TOKENS, evaluate=TOKENS[:101])


def sharded(model):
    for block in model.blocks:
        fsdp.fully_shard(block)
    return fsdp.fully_shard(model)


def bytes_held(module, optimizer):
    """Weights, gradients and optimizer state of this process after a step, each tensor's own part."""
    run = trainer(module, 4, optimizer)
    run.optimizers[0].zero_grad = lambda **_: None  # keep the gradients to look at
    run.train_step()

    def size(tensors):
        return sum(t.numel() * t.element_size() for t in distributed.local(tensors))

    states = [v for each in run.optimizers for state in each.state.values() for v in state.values()]
    weights = list(module.parameters())
    return size(weights), size([w.grad for w in weights]), size([v for v in states if torch.is_tensor(v) and v.ndim])


def train_together(rank, world_size, port, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world_size)
    for wrapper in (DistributedDataParallel, sharded):
        for optimizer in ("adamw", "muon", "soap"):
            name = f"{folder}/{wrapper.__name__}-{optimizer}"
            broken_off = trainer(wrapper(model(optimizer)), 4, optimizer)
            for _ in range(2):
                broken_off.train_step()
            broken_off.save(f"{name}-half")
            run = trainer(wrapper(model(optimizer)), 4, optimizer)
            run.resume(f"{name}-half")
            text = None
            history = run.run()
            if wrapper is sharded:
                text = generate(run.model, [1, 2], max_new_tokens=4, greedy=True)
            run.save(name)
            if optimizer == "adamw":
                torch.save(bytes_held(wrapper(model(optimizer)), optimizer), f"{name}-bytes-{rank}.pt")
            if rank == 0:
                torch.save((history.train_loss, history.val_loss, text), f"{name}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_processes")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(train_together, (2, port, str(folder)), nprocs=2)
    return folder


@pytest.mark.parametrize("wrapper", ["DistributedDataParallel", "sharded"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_processes_equal_one_with_the_same_batch(folder, wrapper, optimizer):
    alone = trainer(model(optimizer), 8, optimizer)
    history = alone.run()
    losses, held_out, text = torch.load(folder / f"{wrapper}-{optimizer}.pt")
    assert losses == pytest.approx(history.train_loss, abs=1e-5)
    assert held_out == pytest.approx(history.val_loss[2:], abs=1e-5)  # steps 0 and 2 came before it was resumed
    together = load_checkpoint(folder / f"{wrapper}-{optimizer}")
    assert together.step == STEPS
    for a, b in zip(alone.model.parameters(), together.model.parameters()):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    if wrapper == "sharded":
        assert text == generate(alone.model, [1, 2], max_new_tokens=4, greedy=True)


def test_two_processes_share_soaps_bases_and_stay_near_one_process(folder):
    """The first gradients leave eigenvectors of value 0, which the order of summation decides: so not to 1e-5."""
    alone = trainer(model("soap"), 8, "soap").run()
    copies, slices = (torch.load(folder / f"{wrapper}-soap.pt") for wrapper in ("DistributedDataParallel", "sharded"))
    assert copies[0] == pytest.approx(slices[0], abs=1e-5)
    assert copies[0][:2] == pytest.approx(alone.train_loss[:2], abs=1e-5)
    assert copies[0] == pytest.approx(alone.train_loss, abs=1e-2)
    a, b = (load_checkpoint(folder / f"{wrapper}-soap").model for wrapper in ("DistributedDataParallel", "sharded"))
    for x, y in zip(a.parameters(), b.parameters()):
        torch.testing.assert_close(x, y, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("wrapper", "strategy"), [("DistributedDataParallel", "ddp"), ("sharded", "fsdp")])
def test_two_processes_hold_what_the_memory_plan_says(folder, wrapper, strategy):
    config = model("adamw").config
    plan = memory_plan(config, 2, strategy, batch_size=4, seq_len=8).memory
    block = training_memory(config, 4, 8).weights // config.n_layers if strategy == "fsdp" else 0
    held = [torch.load(folder / f"{wrapper}-adamw-bytes-{rank}.pt") for rank in range(2)]
    for planned, measured in zip((plan.weights - block, plan.gradients, plan.optimizer), zip(*held)):
        assert sum(measured) / 2 == pytest.approx(planned, rel=0.01)  # a slice of an odd length is rounded
        assert max(measured) == pytest.approx(planned, rel=0.1)


def test_a_run_of_two_processes_goes_on_in_one(folder):
    alone = trainer(model("adamw"), 4, "adamw")
    alone.resume(folder / "sharded-adamw-half")
    assert alone.step == 2
    assert alone.train_step() < 2.5
