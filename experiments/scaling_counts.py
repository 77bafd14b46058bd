"""Record what tables of counts reach on the text of lecture 08's sweep, by the bytes they are counted on.

Orders 3 to 8 with two smoothings, chosen on the choose split at each size; losses in nats a byte on the report split,
in the same windows of 128 bytes as the sweep's models. Run it with `python experiments/scaling_counts.py`; some minutes
and 3 GB.
"""

from scaling import CONTEXT, MODULES, texts

from llmlib.data import Experiment
from llmlib.text import NGramModel

BYTES = (36_000, 120_000, 360_000, 1_200_000, 3_600_000, 10_300_000)
ORDERS = (3, 4, 5, 6, 7, 8)


def main() -> None:
    splits = {name: split.numpy().astype("int64") for name, split in texts().items()}
    windows = {
        name: [splits[name][i : i + CONTEXT + 1] for i in range(0, len(splits[name]) - CONTEXT, CONTEXT)]
        for name in ("choose", "report")
    }
    experiment = Experiment("scaling_counts", script=__file__, modules=[*MODULES, "llmlib.text.ngram"])

    def count(n_bytes: int, order: int, smoothing: str) -> dict:
        model = NGramModel(order, smoothing, vocab_size=256).fit(splits["train"][:n_bytes])
        # A window's first byte is given, as to the models.
        losses = {
            name: -sum(model.logprob(window)[1:].sum() for window in parts) / (CONTEXT * len(parts))
            for name, parts in windows.items()
        }
        losses = {name: round(float(loss), 5) for name, loss in losses.items()}
        return dict(bytes=n_bytes, order=order, smoothing=smoothing, **losses)

    results = []
    for n_bytes in BYTES:
        for smoothing in ("kneser_ney", "witten_bell"):
            for order in ORDERS:
                key = f"{n_bytes} bytes, order {order}, {smoothing}"
                results.append(experiment.once(key, count, n_bytes, order, smoothing))
                print(results[-1], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
