# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds schedulers that fit: by words, by a measured workload's tags, by measurements, and by
lessons. Pure.

By words it is BM25 (Robertson and Zaragoza 2009) over a manifest's fields, each with its own
weight; a match in `bad_for` counts against the entry. By tags it is a plain sum. `find` combines
these with the history's knowledge, by learned weights (`learning/weights.py`). Every result says
why, so that an advisor, human or not, can disagree.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler_library.catalog import CatalogEntry
from scheduler_library.learning.bandit import Belief
from scheduler_library.learning.weights import MEASURED, PRIOR, TAGS, TOLD, WORDS, total
from scheduler_library.manifest import Manifest
from scheduler_library.profile import MEANING

# BM25's usual constants: how soon repetition stops counting, and how much length does.
K1 = 1.2
B = 0.75
# The weight of a word in each field. `bad_for` weighs as much as `good_for`: a search for
# "database" must not lead to the entry that warns of databases.
FIELD_WEIGHTS: Mapping[str, float] = {
    "name": 4.0,
    "tags": 3.0,
    "good_for": 2.0,
    "summary": 2.0,
    "algorithm": 1.0,
    "description": 1.0,
}
BAD_FOR_WEIGHT = -2.0

# The weight of a workload's tag if it is among the entry's …
GOOD_TAG = 2.0
OWN_TAG = 1.0
BAD_TAG = -3.0

# The score of an entry whose own page calls it bad for this workload's figure.
WARNED_SCORE = -0.5

# A certain gain of this size is the most that measurements can say for an entry.
LARGE_GAIN = 0.3

# The words of each field.
_Document = Mapping[str, list[str]]

_STOP = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be but by for from has have in into is it its many may more most
        much no not of on one only or other so some such than that the their them then they
        this to under very what when where which who with""",
    )
)


@dataclass(frozen=True)
class Match:
    """An entry, how well it fits (higher is better, below zero: warned against), and why."""

    entry: CatalogEntry
    score: float
    reasons: tuple[str, ...]


def words(text: str) -> list[str]:
    """The meaningful words of a text, lower-case, with plural and -ing roughly removed."""
    return [_stem(word) for word in _plain(text)]


def _plain(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [word for word in found if word not in _STOP and len(word) > 1]


def _stem(word: str) -> str:
    """Rough on purpose: one rule each for plurals, -ing and the remaining e."""
    if len(word) >= 5 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) >= 6 and word.endswith("ing"):
        word = word[:-3]
    elif len(word) >= 4 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word[:-1] if len(word) >= 4 and word.endswith("e") else word


def _fields(manifest: Manifest) -> dict[str, list[str]]:
    return {
        "name": words(manifest.name),
        "tags": words(" ".join(manifest.tags)),
        "good_for": words(" ".join(manifest.good_for)),
        "summary": words(manifest.summary),
        "algorithm": words(manifest.algorithm),
        "description": words(manifest.description),
    }


def _rarities(documents: Sequence[_Document], asked: Iterable[str]) -> dict[str, float]:
    """How much each word says: rare ones more; the form with +1 never turns negative."""
    everywhere = Counter(
        word for each in documents for word in {w for part in each.values() for w in part}
    )
    count = len(documents)
    return {
        word: math.log(1 + (count - everywhere[word] + 0.5) / (everywhere[word] + 0.5))
        for word in asked
    }


def _bm25(
    documents: Sequence[_Document], weights: Mapping[str, float], rarity: Mapping[str, float]
) -> list[tuple[float, dict[str, list[str]]]]:
    """For each document its score, and for each query word the fields that contain it."""
    lengths = [sum(len(part) for part in each.values()) for each in documents]
    mean = sum(lengths) / len(lengths) if lengths else 1.0
    scored = []
    for each, length in zip(documents, lengths, strict=True):
        norm = K1 * (1 - B + B * length / mean) if mean else K1
        score, found = 0.0, {}
        for word, tells in rarity.items():
            where = [name for name, part in each.items() if word in part]
            frequency = sum(weights[name] * each[name].count(word) for name in where)
            if frequency:
                score += tells * frequency * (K1 + 1) / (frequency + norm)
                found[word] = where
        scored.append((score, found))
    return scored


def search(entries: Iterable[CatalogEntry], query: str, *, limit: int = 20) -> list[Match]:
    """Rank entries for a free text; those that match nothing are left out.

    A query without a meaningful word gives every entry, by name.
    """
    # Compared by stem, reported as written in the query.
    asked = {_stem(word): word for word in _plain(query)}
    pool = list(entries)
    if not asked:
        return [Match(entry, 0.0, ()) for entry in sorted(pool, key=lambda e: e.name)][:limit]
    documents = [_fields(entry.manifest) for entry in pool]
    rarity = _rarities(documents, asked)
    matches = []
    for entry, (score, found) in zip(pool, _bm25(documents, FIELD_WEIGHTS, rarity), strict=True):
        reasons = []
        bad = set(words(" ".join(entry.manifest.bad_for)))
        for stem, word in asked.items():
            if stem in found:
                reasons.append(f"{word!r} in its {', '.join(found[stem]).replace('_', ' ')}")
            if stem in bad:
                score += BAD_FOR_WEIGHT * rarity[stem]
                reasons.append(f"but {word!r} among what it is bad for")
        if reasons:
            matches.append(Match(entry, round(score, 4), tuple(reasons)))
    return sorted(matches, key=lambda m: (-m.score, m.entry.name))[:limit]


def rank_for_tags(
    entries: Iterable[CatalogEntry], tags: Iterable[str], *, limit: int = 20
) -> list[Match]:
    """Rank entries for a workload with these tags; those that share none are left out.

    A tag in the entry's `good_for` counts most, and more the fewer entries claim it; in its `tags`
    less; in its `bad_for` it counts against the entry.
    """
    wanted = list(dict.fromkeys(str(tag) for tag in tags))
    pool = list(entries)
    claims = Counter(tag for entry in pool for tag in set(entry.manifest.good_for))
    matches = []
    for entry in pool:
        manifest = entry.manifest
        score, reasons = 0.0, []
        for tag in wanted:
            if tag in manifest.bad_for:
                score += BAD_TAG
                reasons.append(f"bad for {tag} workloads")
            elif tag in manifest.good_for:
                score += GOOD_TAG * _rarity(claims[tag], len(pool))
                reasons.append(f"good for {tag} workloads")
            elif tag in manifest.tags:
                score += OWN_TAG
                reasons.append(f"has to do with {tag}")
        if reasons:
            matches.append(Match(entry, round(score, 4), tuple(reasons)))
    return sorted(matches, key=lambda m: (-m.score, m.entry.name))[:limit]


def _rarity(claimants: int, all_entries: int) -> float:
    """From 1, if every entry claims to be good for a tag, to 2, if only one does."""
    if all_entries < 2:
        return 1.0
    return 1 + math.log(all_entries / claimants) / math.log(all_entries)


@dataclass(frozen=True)
class HistoryKnowledge:
    """The history's knowledge beside the manifests, by the name of the entry.

    Attributes:
        beliefs: about each entry on the workload in question.
        told: lessons and outcomes that mention it, as text.
        warned: why nobody should try it on the workload on their own initiative.
    """

    beliefs: Mapping[str, Belief] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=lambda: PRIOR)
    warned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RankedEntry:
    """An entry, its score, and the score's parts: -1 to 1 for each kind of evidence."""

    entry: CatalogEntry
    score: float
    features: Mapping[str, float]
    reasons: tuple[str, ...]


def words_for(tags: Iterable[str]) -> str:
    """The query of somebody who has a workload with these tags."""
    known = {tag.value: meaning for tag, meaning in MEANING.items()}
    return " ".join(f"{tag} {known.get(tag, '')}" for tag in tags)


def features_of(
    entries: Iterable[CatalogEntry], query: str, tags: Iterable[str], known: HistoryKnowledge
) -> dict[str, tuple[dict[str, float], tuple[str, ...]]]:
    """The evidence for each entry, by name, and in words.

    Without a query the words are those of the workload's tags; without tags only words and lessons
    count.
    """
    pool, tags = list(entries), tuple(tags)
    query = query if query.strip() else words_for(tags)
    by_words = {each.entry.name: each for each in search(pool, query, limit=len(pool))}
    by_tags = {each.entry.name: each for each in rank_for_tags(pool, tags, limit=len(pool))}
    told = _told(pool, query, known.told)
    found = {}
    for entry in pool:
        features = {
            WORDS: _part(by_words, entry.name),
            TAGS: _part(by_tags, entry.name),
            TOLD: told.get(entry.name, 0.0),
        }
        reasons = [
            reason
            for matches in (by_tags, by_words)
            if entry.name in matches
            for reason in matches[entry.name].reasons
        ]
        held = known.beliefs.get(entry.name)
        if held is not None and held.observations:
            # What was measured is what moved the belief away from the words of the manifest.
            sure = held.weight / (held.weight + 1)
            features[MEASURED] = max(-1.0, min(1.0, held.mean / LARGE_GAIN)) * sure
            reasons.append(
                f"measured on workloads like this: {held.mean:+.0%} expected "
                f"({held.observations} observations, {held.kept} kept)"
            )
        if features[TOLD]:
            reasons.append("lessons or history speak of it in these words")
        found[entry.name] = (features, tuple(reasons))
    return found


def _part(matches: Mapping[str, Match], name: str) -> float:
    """A score as a part of the largest there is, -1 to 1."""
    most = max((abs(each.score) for each in matches.values()), default=0.0)
    return matches[name].score / most if most and name in matches else 0.0


def _told(entries: Sequence[CatalogEntry], query: str, told: Mapping[str, str]) -> dict[str, float]:
    documents = [{"told": words(told.get(entry.name, ""))} for entry in entries]
    rarity = _rarities(documents, {_stem(word) for word in _plain(query)})
    scored = _bm25(documents, {"told": 1.0}, rarity)
    most = max((score for score, _ in scored), default=0.0)
    if not most:
        return {}
    return {
        entry.name: score / most for entry, (score, _) in zip(entries, scored, strict=True) if score
    }


def find(
    entries: Iterable[CatalogEntry],
    query: str,
    tags: Iterable[str],
    known: HistoryKnowledge,
    *,
    limit: int = 20,
) -> list[RankedEntry]:
    """The entries for a text, a workload, or both; those for which nothing speaks are left out.

    The score is the sum of the features, each times its weight; below zero: warned against.
    """
    pool = list(entries)
    all_features = features_of(pool, query, tags, known)
    found = []
    for entry in pool:
        features, reasons = all_features[entry.name]
        score = round(total(known.weights, features), 4)
        warned = known.warned.get(entry.name)
        if warned:
            # However well the words fit: what counts for the workload comes first.
            score, reasons = min(score, 0.0) + WARNED_SCORE, (warned, *reasons)
        if reasons:
            found.append(RankedEntry(entry, round(score, 4), features, reasons))
    return sorted(found, key=lambda each: (-each.score, each.entry.name))[:limit]
