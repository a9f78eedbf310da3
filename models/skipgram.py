"""Skip-gram with negative sampling by gensim's kernel, on arrays that grow.

gensim's own way to add words looks at the whole vocabulary each time (`build_vocab(update=True)`); its kernel does not:
it takes whatever has the attributes below. So rows are added to arrays that double when they are full, and the table
that negatives are drawn from is made anew once the vocabulary has grown by a hundredth.

Source: Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality, 2013; gensim 4.4,
models/word2vec_inner.pyx.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Matrix = NDArray[np.float32]

# The kernel forgets what is beyond 10,000 tracks in one call, and holds the interpreter's lock while it reads them.
CALL_MAX = 1_000
FIRST_CAPACITY = 1_024
TABLE_GROWTH = 1.01
TABLE_TOP = 2**31 - 1


def _kernel_alone() -> ModuleType:
    """Gensim's compiled kernel without its package, which imports every model and SciPy's statistics: seconds a start.

    Raises:
        ImportError: there is no gensim that has it.
    """
    gensim = find_spec("gensim")
    folders = [str(Path(one, "models")) for one in (gensim and gensim.submodule_search_locations) or ()]
    found = PathFinder.find_spec("word2vec_inner", folders)
    if found is None or found.loader is None:
        raise ImportError("expected gensim with models/word2vec_inner, got none")
    kernel = module_from_spec(found)
    found.loader.exec_module(kernel)
    return kernel


_GENSIM = _kernel_alone()


class SkipGram:
    """Vectors of tracks and of the contexts that they occur in; each list is one context window.

    Args:
        dimensions: of a vector.
        negatives: tracks drawn for each pair.
        exponent: a track is drawn as a negative in proportion to its count to this power.
        seed: of the first vectors and of what is drawn.
    """

    def __init__(self, dimensions: int, negatives: int, exponent: float, seed: int) -> None:
        self._exponent = exponent
        self.size = 0
        self._in_table = 0
        self._vectors = np.zeros((FIRST_CAPACITY, dimensions), np.float32)
        self._contexts = np.zeros((FIRST_CAPACITY, dimensions), np.float32)
        self._counts = np.zeros(FIRST_CAPACITY, np.int32)
        # How far a vector may move: a share of each step, one for each row.
        self._shares = np.ones(FIRST_CAPACITY, np.float32)
        self._work = np.zeros(dimensions, np.float32)
        self._kernel = SimpleNamespace(
            hs=0,
            negative=negatives,
            sample=0,
            cbow_mean=0,
            window=CALL_MAX,
            shrink_windows=False,
            workers=1,
            running_training_loss=0.0,
            random=np.random.RandomState(seed),
            wv=SimpleNamespace(vector_size=dimensions, expandos={}),
        )
        self._point()

    @property
    def vectors(self) -> Matrix:
        """(size, D) where each track is; a view, valid until rows are added."""
        return self._vectors[: self.size]

    @property
    def contexts(self) -> Matrix:
        """(size, D) what each track is predicted by; a view, valid until rows are added."""
        return self._contexts[: self.size]

    @property
    def counts(self) -> Rows:
        """(size,) how many lists hold each track; whoever adds or takes lists keeps it right."""
        return self._counts[: self.size]

    @property
    def shares(self) -> Matrix:
        """(size,) the share of each step that a track's vector takes, 0 to 1."""
        return self._shares[: self.size]

    def add(self, vectors: Matrix, contexts: Matrix | None = None) -> None:
        """Add rows with these vectors; their contexts are 0 unless given, their counts 0."""
        start, size = self.size, self.size + len(vectors)
        if size > len(self._vectors):
            # Many at once are a model that is loaded: the next track is not to copy all of it.
            capacity = max(size + size // 8, 2 * len(self._vectors))
            self._vectors, self._contexts, self._counts = (
                grown(one, capacity) for one in (self._vectors, self._contexts, self._counts)
            )
            self._shares = np.concatenate([self._shares, np.ones(capacity - len(self._shares), np.float32)])
            self._point()
        self._vectors[start:size] = vectors
        if contexts is not None:
            self._contexts[start:size] = contexts
        self.size = size

    def train(self, lists: Sequence[Rows], rate: float) -> None:
        """One pass over lists of rows, in order, each of at most `CALL_MAX` tracks, the same rate throughout."""
        if self.size > TABLE_GROWTH * self._in_table:
            self.draw_by_counts()
        together: list[list[int]] = []
        words = 0
        for one in lists:
            if words + len(one) > CALL_MAX:
                self._call(together, rate)
                together, words = [], 0
            together.append(one.tolist())
            words += len(one)
        self._call(together, rate)

    def draw_anew(self, seed: int) -> None:
        """Draw from here on as this seed says, by the counts as they are."""
        self._kernel.random = np.random.RandomState(seed)
        self.draw_by_counts()

    def draw_by_counts(self) -> None:
        """Make the table of negatives anew from the counts as they are."""
        counts = self.counts.astype(np.float64)
        weights = np.where(counts > 0, np.maximum(counts, 1) ** self._exponent, 0)
        cumulated = weights.cumsum()
        if not self.size or cumulated[-1] == 0:
            return
        self._kernel.cum_table = np.round(cumulated / cumulated[-1] * TABLE_TOP).astype(np.uint32)
        self._in_table = self.size

    def _call(self, lists: list[list[int]], rate: float) -> None:
        if lists and self._in_table:
            # Rows stand for themselves: a range maps 5 to 5, and holds what is below its end.
            self._kernel.wv.key_to_index = range(self.size)
            _GENSIM.train_batch_sg(self._kernel, lists, rate, self._work, False)

    def _point(self) -> None:
        self._kernel.wv.vectors = self._vectors
        self._kernel.wv.vectors_lockf = self._shares
        self._kernel.syn1neg = self._contexts


def grown(array: NDArray[Any], capacity: int) -> NDArray[Any]:
    """A copy with room for more rows, those beyond the first ones 0."""
    larger = np.zeros((capacity, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def segments(rows: Rows, most: int, rng: np.random.Generator) -> list[Rows]:
    """A list in random order, cut into parts of nearly equal length of at most `most` tracks.

    Over many passes every two tracks meet, and a pass costs no more than `most` pairs a track. One track has no pair.
    """
    if len(rows) < 2:
        return []
    return np.array_split(rng.permutation(rows), -(-len(rows) // most))
