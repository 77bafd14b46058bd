"""The shape of a model, in one frozen dataclass that checks itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

NORMS = ("rmsnorm", "layernorm")
NORM_POSITIONS = ("pre", "post")
MLPS = ("swiglu", "gelu", "gelu_tanh", "relu", "relu2")
POSITIONS = ("rope", "learned", "sinusoidal", "none")
ROPE_LAYOUTS = ("half", "interleaved")
ATTENTIONS = ("sdpa", "plain")
BALANCINGS = ("none", "auxiliary", "bias")


@dataclass(frozen=True)
class EncoderConfig:
    """What a BERT-style encoder has on top of the blocks (Devlin et al., 2018)."""

    n_token_types: int = 2
    """Rows of the token-type ("segment A / segment B") embedding; 0 for none."""
    embedding_norm: bool = True
    """Normalise the sum of the embeddings before the first block."""
    pooler: bool = False
    """A dense layer with tanh over the first token: `Transformer.pool`."""

    def __post_init__(self) -> None:
        if self.n_token_types < 0:
            raise ValueError(f"n_token_types is {self.n_token_types}; use 0 for none or a positive count")


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3's way to a longer context: slow pairs of RoPE turn more slowly still (Dubey et al., 2024)."""

    factor: float = 8.0
    """How much more slowly the slow pairs turn."""
    low_freq_factor: float = 1.0
    """Pairs that turn fewer times than this within the old context are slowed in full."""
    high_freq_factor: float = 4.0
    """Pairs that turn more often than this stay as they are."""
    original_max_seq_len: int = 8192
    """The old context."""

    def __post_init__(self) -> None:
        _require_positive("original_max_seq_len", self.original_max_seq_len)
        if not self.factor >= 1.0:
            raise ValueError(f"factor is {self.factor}; use 1 or more, how many times longer the context becomes")
        if not 0.0 < self.low_freq_factor < self.high_freq_factor:
            raise ValueError(
                f"low_freq_factor is {self.low_freq_factor} and high_freq_factor {self.high_freq_factor}; "
                "use positive numbers, the second one larger"
            )


@dataclass(frozen=True)
class MoEConfig:
    """A mixture of experts in the place of each block's feed-forward network (Shazeer et al., 2017). Lecture 06."""

    n_experts: int = 8
    top_k: int = 2
    """The experts each token meets."""
    d_expert: int | None = None
    """Hidden width of each expert; None: the config's d_ff."""
    n_shared_experts: int = 0
    """Experts of the same width that every token meets, outside the router's choice (Dai et al., 2024)."""
    capacity_factor: float | None = None
    """An expert takes at most this many times its even share of a training batch; None: all that come."""
    balancing: str = "auxiliary"
    """"auxiliary": a loss (Fedus et al., 2021); "bias": none (Wang et al., 2024, in DeepSeek-V3); "none"."""
    auxiliary_weight: float = 0.01
    z_weight: float = 0.0
    """Of the router z-loss (Zoph et al., 2022)."""
    bias_rate: float = 0.001
    """How far the bias of an expert moves each step, with balancing "bias"."""
    renormalise: bool | None = None
    """Weights of the chosen experts add up to one, as in Mixtral; None: if top_k > 1. See `route`."""

    def __post_init__(self) -> None:
        for name in ("n_experts", "top_k"):
            _require_positive(name, getattr(self, name))
        if self.d_expert is not None:
            _require_positive("d_expert", self.d_expert)
        if self.top_k > self.n_experts:
            raise ValueError(f"top_k is {self.top_k} of n_experts {self.n_experts}; choose at most n_experts")
        if not isinstance(self.n_shared_experts, int) or self.n_shared_experts < 0:
            raise ValueError(f"n_shared_experts is {self.n_shared_experts!r}; use 0 for none or a positive count")
        if self.capacity_factor is not None and not 0.0 < self.capacity_factor < float("inf"):
            raise ValueError(
                f"capacity_factor is {self.capacity_factor}, with which experts take nothing or everything; use a "
                "positive number, 1.25 say, or None for no limit"
            )
        _require_one_of("balancing", self.balancing, BALANCINGS)
        for name in ("auxiliary_weight", "z_weight", "bias_rate"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; use 0 or a positive number")
        if self.renormalise is None:
            object.__setattr__(self, "renormalise", self.top_k > 1)


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes a Transformer's shape and behaviour. Lectures 03 (GPT), 04 (Llama), 05 (BERT) and
    06 (Mixtral) vary it.

    The defaults are a small Llama. `d_ff` left out becomes 4 * d_model, or for "swiglu", which has three matrices
    where the others have two, 8/3 * d_model rounded up to a multiple of 64 (Shazeer, 2020; Touvron et al., 2023).
    `n_kv_heads` left out becomes n_heads, and `head_dim` becomes d_model / n_heads. After construction the three are
    plain numbers.

    Raises ValueError, one line with the argument, its value and the remedy, for any combination that cannot be built.
    """

    vocab_size: int
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int | None = None  # fewer than n_heads: grouped queries (Ainslie et al., 2023); 1: multi-query
    d_ff: int | None = None
    max_seq_len: int = 1024
    norm: str = "rmsnorm"
    norm_position: str = "pre"  # "post": after the residual sum, as in the first Transformer, GPT-1 and BERT
    mlp: str = "swiglu"
    position: str = "rope"
    rope_theta: float = 10_000.0
    rope_layout: str = "half"  # which coordinates turn together; see rope.py
    bias: bool = False  # in every linear layer and LayerNorm
    tie_embeddings: bool = True
    norm_eps: float = 1e-5
    dropout: float = 0.0
    causal: bool = True
    head_dim: int | None = None
    qk_norm: bool = False  # RMSNorm on each head's queries and keys (Henry et al., 2020)
    init_std: float = 0.02
    zero_init_residual: bool = False  # the two projections that write into the residual stream start at zero
    attention: str = "sdpa"  # "plain": the readable twin, which also yields the attention weights
    encoder: EncoderConfig | None = None
    qkv_bias: bool | None = None  # None: as `bias`. Qwen2 has biases in queries, keys and values alone
    o_bias: bool | None = None  # None: as `bias`
    rope_scaling: RopeScaling | None = None
    sliding_window: int | None = None  # a token sees this many, itself included (Beltagy et al., 2020; Mistral)
    moe: MoEConfig | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_layers", "d_model", "n_heads", "max_seq_len"):
            _require_positive(name, getattr(self, name))
        for name in ("n_kv_heads", "d_ff", "head_dim", "sliding_window"):
            if getattr(self, name) is not None:
                _require_positive(name, getattr(self, name))

        if self.head_dim is None and self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} does not divide into n_heads {self.n_heads}; "
                "change one of them or give head_dim"
            )
        # A frozen dataclass fills its own blanks through object.__setattr__.
        if self.n_kv_heads is None:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        if self.head_dim is None:
            object.__setattr__(self, "head_dim", self.d_model // self.n_heads)
        if self.d_ff is None:
            d_ff = -(-8 * self.d_model // 3 // 64) * 64 if self.mlp == "swiglu" else 4 * self.d_model
            object.__setattr__(self, "d_ff", d_ff)

        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_kv_heads {self.n_kv_heads} does not divide n_heads {self.n_heads}; choose a divisor of n_heads"
            )
        _require_one_of("norm", self.norm, NORMS)
        _require_one_of("norm_position", self.norm_position, NORM_POSITIONS)
        _require_one_of("mlp", self.mlp, MLPS)
        _require_one_of("position", self.position, POSITIONS)
        _require_one_of("rope_layout", self.rope_layout, ROPE_LAYOUTS)
        _require_one_of("attention", self.attention, ATTENTIONS)
        if self.position == "rope" and self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd, and RoPE turns pairs; use an even head_dim")
        if self.position == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} is odd, and sinusoids come in pairs; use an even d_model")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout}; use a probability in [0, 1)")
        for name in ("norm_eps", "rope_theta", "init_std"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; use a positive number")
        if self.encoder is not None and not isinstance(self.encoder, EncoderConfig):
            raise ValueError(f"encoder is {self.encoder!r}; give an EncoderConfig(...) or None")
        if self.rope_scaling is not None and not isinstance(self.rope_scaling, RopeScaling):
            raise ValueError(f"rope_scaling is {self.rope_scaling!r}; give a RopeScaling(...) or None")
        if self.moe is not None and not isinstance(self.moe, MoEConfig):
            raise ValueError(f"moe is {self.moe!r}; give a MoEConfig(...) or None")
        if self.rope_scaling is not None and self.position != "rope":
            raise ValueError(f"rope_scaling given with position {self.position!r}, which has no RoPE; leave it out")
        if self.sliding_window is not None and not self.causal:
            raise ValueError("sliding_window given with causal=False; a window looks back, so leave it out")

    def replace(self, **changes: object) -> ModelConfig:
        """A copy with some fields changed. Derived fields (d_ff, head_dim, n_kv_heads) are kept unless given too;
        pass None to derive them anew."""
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise ValueError(
                f"ModelConfig has no field {sorted(unknown)[0]!r}; see ModelConfig's docstring for the names"
            )
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict:
        """Plain types only, for JSON; `ModelConfig.from_dict` is the way back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict) -> ModelConfig:
        """The inverse of `to_dict`."""
        fields = dict(fields)
        unknown = set(fields) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(
                f"fields holds {sorted(unknown)[0]!r}, unknown to ModelConfig; was it saved by a newer version?"
            )
        try:
            for name, nested in (("encoder", EncoderConfig), ("rope_scaling", RopeScaling), ("moe", MoEConfig)):
                if isinstance(fields.get(name), dict):
                    fields[name] = nested(**fields[name])
            return cls(**fields)
        except TypeError as error:  # a field that is missing or of the wrong kind
            raise ValueError(f"fields do not describe a ModelConfig ({error}); give what to_dict returned") from None


def _require_positive(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r}; use a whole number of at least 1")


def _require_one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
