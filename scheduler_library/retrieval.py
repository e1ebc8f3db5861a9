# SPDX-License-Identifier: GPL-2.0-only
"""Which schedulers fit: by words, or by the tags of a measured workload. Pure.

By words it is BM25 (Robertson and Zaragoza 2009) over what a manifest says, each field
with a weight of its own; a match in `bad_for` counts against the entry. By tags it is a
plain sum. Both say why: an advisor, of flesh or not, has to be able to disagree.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler_library.catalog import Entry
from scheduler_library.manifest import Manifest

# BM25's usual constants: how soon repetition stops counting, and how much length does.
K1 = 1.2
B = 0.75
# How much a word in each field counts. `bad_for` weighs as much as `good_for`: whoever
# searches for "database" must not be led to the entry that warns of databases.
FIELD_WEIGHTS: Mapping[str, float] = {
    "name": 4.0,
    "tags": 3.0,
    "good_for": 2.0,
    "summary": 2.0,
    "algorithm": 1.0,
    "description": 1.0,
}
BAD_FOR_WEIGHT = -2.0

# What a workload's tag counts for when it is among the entry's …
GOOD_TAG = 2.0
OWN_TAG = 1.0
BAD_TAG = -3.0

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

    entry: Entry
    score: float
    reasons: tuple[str, ...]


def words(text: str) -> list[str]:
    """The words of a text that carry meaning, lower-case, plural and -ing roughly undone."""
    return [_stem(word) for word in _plain(text)]


def _plain(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [word for word in found if word not in _STOP and len(word) > 1]


def _stem(word: str) -> str:
    """Rough on purpose: one rule each for plurals, -ing and the e that is left over."""
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


def search(entries: Iterable[Entry], query: str, *, limit: int = 20) -> list[Match]:
    """Rank entries for a free text; those that match nothing are left out.

    A query without a meaningful word gives every entry, by name.
    """
    # Compared by stem, told as asked.
    asked = {_stem(word): word for word in _plain(query)}
    pool = list(entries)
    if not asked:
        return [Match(entry, 0.0, ()) for entry in sorted(pool, key=lambda e: e.name)][:limit]
    fields = [_fields(entry.manifest) for entry in pool]
    lengths = [sum(len(part) for part in each.values()) for each in fields]
    mean = sum(lengths) / len(lengths) if lengths else 1.0
    everywhere = Counter(
        word for each in fields for word in {w for part in each.values() for w in part}
    )
    matches = []
    for entry, each, length in zip(pool, fields, lengths, strict=True):
        bad = set(words(" ".join(entry.manifest.bad_for)))
        score, reasons = 0.0, []
        for word in asked:
            # Rare words tell more; the form with +1 never turns negative.
            seen = everywhere[word]
            rarity = math.log(1 + (len(pool) - seen + 0.5) / (seen + 0.5))
            where = [name for name, part in each.items() if word in part]
            frequency = sum(FIELD_WEIGHTS[name] * each[name].count(word) for name in where)
            if frequency:
                norm = K1 * (1 - B + B * length / mean)
                score += rarity * frequency * (K1 + 1) / (frequency + norm)
                reasons.append(f"{asked[word]!r} in its {', '.join(where).replace('_', ' ')}")
            if word in bad:
                score += BAD_FOR_WEIGHT * rarity
                reasons.append(f"but {asked[word]!r} among what it is bad for")
        if reasons:
            matches.append(Match(entry, round(score, 4), tuple(reasons)))
    return sorted(matches, key=lambda m: (-m.score, m.entry.name))[:limit]


def rank_for_tags(entries: Iterable[Entry], tags: Iterable[str], *, limit: int = 20) -> list[Match]:
    """Rank entries for a workload with these tags; those that share none are left out.

    A tag among the entry's `good_for` counts most, and the more the fewer entries claim it;
    among its `tags` less; and one among its `bad_for` counts against it.
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
    """From 1, where every entry claims to be good for a tag, to 2, where only one does."""
    if all_entries < 2:
        return 1.0
    return 1 + math.log(all_entries / claimants) / math.log(all_entries)
