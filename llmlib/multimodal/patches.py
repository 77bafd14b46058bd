"""Pictures as rows of vectors: cut into patches, and read by a transformer that looks both ways. Lecture 19."""

import torch
from torch import Tensor, nn

from llmlib.model import ModelConfig, Transformer


def patchify(pictures: Tensor, size: int) -> Tensor:
    """Square patches, row by row: (B, C, H, W) -> (B, (H / size) * (W / size), C * size * size).

    Raises ValueError for a picture of another shape or one that patches don't fill.
    """
    if pictures.dim() != 4:
        raise ValueError(
            f"pictures has shape {tuple(pictures.shape)}: give (B, C, H, W), for one picture picture[None]"
        )
    if not pictures.is_floating_point():
        raise ValueError(f"pictures is {pictures.dtype}: give floats, e.g. pictures.float() / 255")
    B, C, H, W = pictures.shape
    if size < 1 or H % size or W % size:
        raise ValueError(
            f"pictures are {H} x {W}, which patches of size={size} don't fill; resize, or choose a divisor"
        )
    grid = pictures.view(B, C, H // size, size, W // size, size)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * size * size)


def unpatchify(patches: Tensor, height: int, width: int, size: int) -> Tensor:
    """`patchify` undone: (B, N, C * size * size) -> (B, C, height, width)."""
    B, N, inside = patches.shape
    rows, columns = height // size, width // size
    if (rows * size, columns * size, rows * columns) != (height, width, N) or inside % size**2:
        raise ValueError(f"patches has shape {tuple(patches.shape)}: it doesn't fill {height} x {width} by size={size}")
    grid = patches.view(B, rows, columns, inside // size**2, size, size)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(B, -1, height, width)


class PictureEncoder(nn.Module):
    """A small vision transformer (Dosovitskiy et al., 2021): (B, channels, side, side) -> (B, patches, d_model).

    Patches are projected, get learned positions and go through the blocks of our `Transformer`, each seeing all. With
    n_layers=0 what is left is the projection with its positions. For one vector a picture take the mean over patches.
    """

    def __init__(self, side: int, patch: int, d_model: int, n_layers: int, n_heads: int = 4, channels: int = 3):
        super().__init__()
        if patch < 1 or side % patch:
            raise ValueError(f"patch={patch} does not divide side={side}; choose one that does")
        self.side, self.patch, self.channels = side, patch, channels
        n_patches = (side // patch) ** 2
        self.projection = nn.Linear(channels * patch * patch, d_model)
        self.positions = nn.Parameter(0.02 * torch.randn(n_patches, d_model))
        self.body = Transformer(_reader(d_model, n_layers, n_heads, n_patches)) if n_layers else None

    def forward(self, pictures: Tensor) -> Tensor:
        if pictures.shape[1:] != (self.channels, self.side, self.side):
            raise ValueError(
                f"pictures has shape {tuple(pictures.shape)}: this encoder reads "
                f"(B, {self.channels}, {self.side}, {self.side}); resize, or convert to {self.channels} channels"
            )
        x = self.projection(patchify(pictures, self.patch)) + self.positions
        return x if self.body is None else self.body.hidden(embeds=x)


def _reader(d_model: int, n_layers: int, n_heads: int, n_patches: int) -> ModelConfig:
    """Blocks that see all places; the token embedding, of one row, is not used."""
    shape = dict(n_layers=n_layers, d_model=d_model, n_heads=n_heads, max_seq_len=n_patches)
    return ModelConfig(vocab_size=1, causal=False, position="none", **shape)


class PictureDecoder(nn.Module):
    """A language model that sees: a picture's vectors are put in front of the text (Liu et al., 2023, LLaVA).

    decoder: our `Transformer`; encoder: (B, ...) pictures -> (B, N, d_picture); projector: d_picture -> d_model, by
    default one linear layer, or none where the widths agree. (pictures, (B, T) ids) -> (B, T, vocab_size) logits of
    the text. Text and picture share the decoder's positions: N + T must fit its max_seq_len.
    """

    def __init__(self, decoder: Transformer, encoder: nn.Module, d_picture: int, projector: nn.Module | None = None):
        super().__init__()
        d_model = decoder.config.d_model
        self.decoder, self.encoder = decoder, encoder
        same = nn.Identity() if d_picture == d_model else nn.Linear(d_picture, d_model)
        self.projector = same if projector is None else projector

    def forward(self, pictures: Tensor, ids: Tensor) -> Tensor:
        return self.decoder.head(self.hidden(pictures, ids)[:, -ids.shape[1] :])

    def hidden(self, pictures: Tensor, ids: Tensor) -> Tensor:
        """(B, N + T, d_model): the picture's places and then the text's."""
        return self.decoder.hidden(embeds=self.embeds(pictures, ids))

    def embeds(self, pictures: Tensor, ids: Tensor) -> Tensor:
        """What the decoder reads: picture vectors, then the text's embeddings."""
        if len(pictures) != len(ids):
            raise ValueError(f"{len(pictures)} pictures and {len(ids)} texts: give one picture for each text")
        seen = self.projector(self.encoder(pictures))
        return torch.cat([seen, self.decoder.token_embedding(ids)], dim=1)
