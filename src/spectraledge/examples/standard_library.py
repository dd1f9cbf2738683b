"""Python's own standard library as text with known structure: bytes, and what `tokenize` says of each."""

import hashlib
import io
import keyword
import platform
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spectraledge.arrays import Ints
from spectraledge.errors import InputError
from spectraledge.streams import numpy_generator

_NO_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
_HELD_OUT = 0.1
_FEWEST = 100_000

_BLANK = "blank"
_CLASSES = {tokenize.NUMBER: "number", tokenize.STRING: "string", tokenize.COMMENT: "comment", tokenize.OP: "operator"}
_OPENING, _CLOSING = set("([{"), set(")]}")

Labels = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class SourceText:
    """The standard library, split by files.

    Attributes:
        training: What is trained on, one array of bytes per file.
        validation: What is not.
        python: Whose library it is.
    """

    training: tuple[NDArray[np.uint8], ...]
    validation: tuple[NDArray[np.uint8], ...]
    python: str

    @classmethod
    def read(cls, *, seed: int, folder: Path | None = None) -> "SourceText":
        """Read every .py file of the standard library but its tests and what is installed beside it.

        A tenth of the files, drawn with the seed, is held out.

        Args:
            seed: Root seed of the split.
            folder: Where the library lies. Default: this Python's.

        Returns:
            The text.

        Raises:
            InputError: if there is less than 100 kB of it.
        """
        root = folder or Path(sysconfig.get_path("stdlib"))
        paths = sorted(path for path in root.rglob("*.py") if not _NO_LIBRARY & {*path.relative_to(root).parts})
        contents = [content for path in paths if (content := path.read_bytes())]
        if sum(map(len, contents)) < _FEWEST or len(contents) < 2:
            raise InputError(
                f"expected Python source in {root}, got {len(contents)} files of {sum(map(len, contents)):,} bytes: "
                "use a Python whose standard library is installed as source"
            )
        order = numpy_generator(seed, "files").permutation(len(contents))
        held = set(order[: max(1, round(_HELD_OUT * len(contents)))].tolist())
        arrays = [np.frombuffer(content, dtype=np.uint8) for content in contents]
        return cls(
            tuple(array for place, array in enumerate(arrays) if place not in held),
            tuple(array for place, array in enumerate(arrays) if place in held),
            f"{platform.python_implementation()} {platform.python_version()}",
        )

    @property
    def digest(self) -> str:
        """SHA-256 of all files and of the split."""
        whole = hashlib.sha256()
        for file in (*self.training, np.zeros(0, dtype=np.uint8), *self.validation):
            whole.update(len(file).to_bytes(8, "big") + file.tobytes())
        return whole.hexdigest()

    def described(self) -> dict[str, int | str]:
        """Return files and bytes of either part, and whose they are."""
        return {
            "python": self.python,
            "training_files": len(self.training),
            "training_bytes": sum(map(len, self.training)),
            "validation_files": len(self.validation),
            "validation_bytes": sum(map(len, self.validation)),
        }


def windows(files: Sequence[NDArray[np.uint8]], count: int, length: int, generator: np.random.Generator) -> Ints:
    """Draw stretches of text, each within a file, every place as likely as any other: bytes, shape (count, length)."""
    return np.stack([files[file][start : start + length] for file, start in _places(files, count, length, generator)])


def _places(
    files: Sequence[NDArray[np.uint8]], count: int, length: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    starts = np.cumsum([max(0, len(file) - length + 1) for file in files])
    if not len(starts) or starts[-1] == 0:
        raise InputError(f"no file has {length} bytes: choose a shorter context")
    drawn = generator.integers(starts[-1], size=count)
    found = np.searchsorted(starts, drawn, side="right")
    return [(int(file), int(at - (starts[file - 1] if file else 0))) for file, at in zip(found, drawn, strict=True)]


def contexts(
    files: Sequence[NDArray[np.uint8]], count: int, length: int, stride: int, generator: np.random.Generator
) -> tuple[Ints, Labels]:
    """Draw stretches of text, and say of every `stride`-th byte what has been read up to there.

    Only files of ASCII that `tokenize` reads are drawn from.

    Args:
        files: Where they are drawn from.
        count: How many stretches.
        length: Bytes of each.
        stride: From one labelled byte to the next; the last byte of a stretch has labels.
        generator: Source of randomness.

    Returns:
        The bytes, shape (count, length), and labels by name, each of shape (count · length/stride,): "last byte",
        "class" (of its token), "depth" (of brackets after it), "indentation" (of its line, in levels) and "position".

    Raises:
        InputError: if no file can be read.
    """
    read = [(file, labels) for file in files if (labels := token_labels(file.tobytes()))]
    if not read:
        raise InputError("no held-out file is ASCII that tokenize reads: choose another seed")
    texts = [file for file, _ in read]
    places = _places(texts, count, length, generator)
    inputs = np.stack([texts[file][start : start + length] for file, start in places]).astype(np.int64)
    seen = np.arange(stride - 1, length, stride)
    found: Labels = {"last byte": inputs[:, seen].ravel()}
    for name in ("class", "depth", "indentation"):
        found[name] = np.concatenate([read[file][1][name][start + seen] for file, start in places])
    return inputs, found | {"position": np.tile(seen, count)}


def token_labels(source: bytes) -> Labels:
    """Say of every byte of a file which class of token it is in, and how deep it stands.

    Args:
        source: The file.

    Returns:
        "class" (name, keyword, number, string, comment, operator, blank), "depth" (brackets that are open after it) and
        "indentation" (levels of its line), each of one label per byte; empty if the file is not ASCII with plain line
        ends that `tokenize` reads.
    """
    if not source.isascii() or b"\r" in source or b"\f" in source:
        return {}
    size, text = len(source), source.decode("ascii")
    starts = np.cumsum([0, *map(len, text.splitlines(keepends=True))])
    classes = np.full(size, _BLANK, dtype="U8")
    deeper, further = np.zeros((2, size + 1), dtype=np.int64)
    try:
        for token in _tokens(text):
            begin = min(int(starts[min(token.start[0] - 1, len(starts) - 1)]) + token.start[1], size)
            end = min(int(starts[min(token.end[0] - 1, len(starts) - 1)]) + token.end[1], size)
            if token.type in (tokenize.INDENT, tokenize.DEDENT):
                line = int(starts[min(token.start[0] - 1, len(starts) - 1)])
                further[line] += 1 if token.type == tokenize.INDENT else -1
                continue
            classes[begin:end] = _class(token)
            if token.type == tokenize.OP:
                deeper[begin] += (token.string in _OPENING) - (token.string in _CLOSING)
    except (tokenize.TokenError, SyntaxError):
        return {}
    return {"class": classes, "depth": deeper.cumsum()[:size], "indentation": further.cumsum()[:size]}


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


def _class(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME:
        return "keyword" if keyword.iskeyword(token.string) else "name"
    # Pieces of formatted strings are tokens of their own since Python 3.12.
    return "string" if "STRING" in tokenize.tok_name[token.type] else _CLASSES.get(token.type, _BLANK)
