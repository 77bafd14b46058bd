"""From a matplotlib figure to a picture on the page that everybody can read.

A picture is one PNG on a white card, in light and in dark pages alike: dark text on white is right in JupyterLab's
dark theme, on GitHub at night, on the site and on a projector, and nothing has to be drawn twice. It is shown as an
HTML image, since JupyterLab gives no alternative text to any other kind of output.
"""

import base64
import html
import io
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito (2008): eight colours that people with any common colour blindness can tell apart; yellow comes last
# because it is hard to see on white.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442"]
COLORS = dict(zip(("blue", "orange", "green", "pink", "red", "sky", "black", "yellow"), PALETTE, strict=True)) | {
    "grey": "#767676",
    "white": "#FFFFFF",
}
TINTS = {  # the same hues, light enough to carry black text
    "blue": "#CFE5F3",
    "orange": "#FBE6BF",
    "green": "#C6EBDF",
    "pink": "#F4DFEA",
    "red": "#F8D9C6",
    "sky": "#E0F1FB",
    "yellow": "#FCF8C9",
    "grey": "#E9E9E9",
    "black": "#D5D5D5",
    "white": "#FFFFFF",
    "none": "none",
}

# At 150 % zoom a screen of 1280 x 720 pixels is 853 x 480 CSS pixels, of which a notebook's output gets about 700.
WIDTH, HEIGHT = 7.2, 3.1  # inches: 691 x 298 CSS pixels, so that a figure and the sentence on it share a screen
DPI, COLOURS = 144, 96  # drawn 1.5 times finer than shown: sharp at 150 %
CSS_PIXELS_PER_INCH = 96
_CARD = 0.06  # inches of white around a figure


def setup_style(*, compact: bool = False) -> None:
    """Set matplotlib's defaults for the course: a figure of 7.2 x 3.1 inches, readable at 1280 x 720 and 150 %.

    compact: for a lecture of very many pictures. They are drawn as fine as they are shown, in fewer colours, and take
    three fifths of the bytes.
    """
    global DPI, COLOURS
    DPI, COLOURS = (96, 32) if compact else (144, 96)
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, HEIGHT),
            "figure.dpi": CSS_PIXELS_PER_INCH,
            "figure.constrained_layout.use": True,
            "figure.constrained_layout.h_pad": _CARD,
            "figure.constrained_layout.w_pad": _CARD,
            "figure.facecolor": "white",
            "font.size": 12,
            "axes.titlesize": 12.5,
            "axes.labelsize": 12,
            "xtick.labelsize": 11.5,
            "ytick.labelsize": 11.5,
            "legend.fontsize": 11.5,
            "legend.frameon": False,
            "axes.prop_cycle": mpl.cycler(color=PALETTE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E2E2E2",
            "lines.linewidth": 2.2,
            "image.cmap": "cividis",
        }
    )


def show(fig: Figure, alt: str) -> None:
    """Display a figure with its alternative text, and close it.

    alt: one or two sentences that say what the picture shows, with its numbers, for those who can't see it.
    Raises ValueError when alt is empty.
    """
    need_alt(alt)
    display_picture(render(fig), alt)


def need_alt(alt: str | None) -> None:
    """Raise ValueError unless `alt` says something."""
    if not (alt and alt.strip()):
        raise ValueError(f"alt={alt!r}: say in a sentence what the figure shows, for readers who can't see it")


def render(fig: Figure) -> Image.Image:
    """Draw a figure, close it, and return its pixels."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    plt.close(fig)
    return Image.open(buffer).convert("RGB")


def png(image: Image.Image) -> bytes:
    """The image as a PNG of few colours: a quarter of the bytes, and no difference to see in a chart.

    Colours are chosen to cover the extremes, or the one red outline on a blue map would come out brown.
    """
    buffer = io.BytesIO()
    few = image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def css_width(image: Image.Image) -> int:
    """The width in CSS pixels at which the image is shown."""
    return round(image.width * CSS_PIXELS_PER_INCH / DPI)


def image_html(image: Image.Image, alt: str) -> str:
    """The image as an HTML element that carries its pixels and its alternative text."""
    source = base64.b64encode(png(image)).decode()
    return f'<img alt="{html.escape(alt)}" width="{css_width(image)}" src="data:image/png;base64,{source}">'


def display_picture(image: Image.Image, alt: str) -> None:
    """Display an image as HTML. The alternative text is also what a reader of plain text gets."""
    display({"text/html": image_html(image, alt), "text/plain": alt}, raw=True)


def titled(image: Image.Image, title: str) -> Image.Image:
    """The image with a line of text above it."""
    strip = plt.figure(figsize=(image.width / DPI, 0.3), layout="none")
    strip.text(0.5, 0.4, title, ha="center", va="center", fontsize=12, color="#444444")
    head = render(strip)
    sheet = Image.new("RGB", (image.width, image.height + head.height), "white")
    sheet.paste(head, (0, 0))
    sheet.paste(image, (0, head.height))
    return sheet


def stack(images: Sequence[Image.Image]) -> Image.Image:
    """Panels side by side, left to right and top to bottom, as many to a row as the page's width holds."""
    limit, rows, width = round(WIDTH * DPI) + 1, [[]], 0
    for image in images:
        if rows[-1] and width + image.width > limit:
            rows.append([])
            width = 0
        rows[-1].append(image)
        width += image.width
    size = (max(sum(i.width for i in row) for row in rows), sum(max(i.height for i in row) for row in rows))
    sheet, top = Image.new("RGB", size, "white"), 0
    for row in rows:
        left = 0
        for image in row:
            sheet.paste(image, (left, top))
            left += image.width
        top += max(i.height for i in row)
    return sheet
