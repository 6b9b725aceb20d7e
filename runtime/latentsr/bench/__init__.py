"""Measuring: routes of a bundle and baselines, each in a process of its own, in turn.

A *subject* is what one process measures (`subject.py`); a *contender* is such a process seen from
outside (`contender.py`); `rounds.py` runs contenders in turn, `run.py` puts a benchmark together,
and `schema.py` says what the result looks like.
"""
